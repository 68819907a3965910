// BlockSparseTensor: a weight [N, K] of square blocks, those without a value left out (ops.ts has its parts, which files hold too).
// It trains by its blocks: where a block is, stays.
import {
  AoError,
  clone,
  type Dense,
  defineKind,
  type Entry,
  type FileForm,
  int32,
  type KindOf,
  keep,
  kindEntry,
  linear,
  noGrad,
  override,
  reshape,
  scope,
  sum,
  tensor,
  type WrappedOf,
} from '@ao/core';
import { linearGradInput, linearGradWeight, vjp } from '@ao/core/autograd';
import { blockSparseExpand, blockSparseGather, blockSparseLinear } from './ops.ts';

type Part = 'values' | 'crow' | 'col';
export interface BlockSparseAttrs {
  readonly shape: readonly number[];
}
export type BlockSparseTensor = WrappedOf<Part, never, BlockSparseAttrs>;

const shapeOf = (t: BlockSparseTensor) => ({ N: t.shape[0]!, K: t.shape[1]! });

const file: FileForm<BlockSparseTensor> = {
  type: 'BlockSparseTensor',
  names: () => ['crow', 'col', 'values'],
  encode: ({ attrs }) => ({ shape: attrs.shape }),
  decode: (json, { values }) => {
    const { shape } = blockSparseKind.spec.attrs({ shape: json.shape }) as BlockSparseAttrs;
    return { attrs: { shape }, shape, dtype: values!.dtype };
  },
};

export const blockSparseKind: KindOf<Part, never, BlockSparseAttrs> = /*@__PURE__*/ defineKind('block_sparse', {
  parts: ['values', 'crow', 'col'],
  attrs(value): BlockSparseAttrs {
    const { shape } = value as BlockSparseAttrs;
    if (Array.isArray(shape) && shape.length === 2 && shape.every((n) => Number.isInteger(n) && n > 0))
      return Object.freeze({ shape });
    throw new AoError('ERR_AO_FORMAT', `a block-sparse tensor of shape ${JSON.stringify(shape)}`, {
      fix: 'the file is damaged: save the model again',
    });
  },
  dequantize: (t: BlockSparseTensor) => scope(() => blockSparseExpand(t.values, t.crow, t.col, shapeOf(t))),
  trains: ['values'],
  file,
});

/**
 * The blocks of w [N, K] that hold a value other than 0; at least one is kept. Rejects with ERR_AO_SHAPE where blocks of
 * `blocksize` do not fill it.
 */
export async function blockSparseTensor(w: Dense, blocksize: number): Promise<BlockSparseTensor> {
  const [N = 0, K = 0] = w.shape;
  if (w.ndim !== 2 || !(blocksize >= 1) || N % blocksize !== 0 || K % blocksize !== 0) {
    throw new AoError('ERR_AO_SHAPE', `[${w.shape}] cannot be cut into blocks of ${blocksize}`, {
      op: 'blockSparseTensor',
      fix: 'take a blocksize that divides both dimensions',
    });
  }
  const v = await w.data();
  const across = K / blocksize;
  const crow = new Int32Array(N / blocksize + 1);
  const col: number[] = [];
  for (let r = 0; r < crow.length - 1; r++) {
    const used = new Uint8Array(across);
    for (let i = r * blocksize * K; i < (r + 1) * blocksize * K; i++)
      if (v[i] !== 0) used[Math.floor((i % K) / blocksize)] = 1;
    for (let c = 0; c < across; c++) if (used[c] === 1) col.push(c);
    crow[r + 1] = col.length;
  }
  if (col.length === 0) {
    col.push(0); // storage is never empty
    crow.fill(1, 1);
  }
  const { rt, device } = w;
  return noGrad(() =>
    scope(() => {
      const at = (data: Int32Array) => tensor(rt, data, { shape: [data.length], dtype: int32, device });
      const [places, columns] = [at(crow), at(Int32Array.from(col))];
      const values = blockSparseGather(w, places, columns, blocksize);
      return keep(blockSparseKind.make({ values, crow: places, col: columns }, { shape: [N, K] }, [N, K], w.dtype));
    }),
  );
}

export const blockSparseEntries = (): readonly Entry[] => [
  kindEntry(blockSparseKind),
  override(linear, 1, blockSparseKind, (x, w, b) => {
    const t = w as BlockSparseTensor;
    return blockSparseLinear(x, t.values, t.crow, t.col, b, shapeOf(t));
  }),
  override(linearGradInput, 1, blockSparseKind, (g, w) => scope(() => linearGradInput(g, w.rt.dequantize(w)))),
  override(clone, 0, blockSparseKind, (w) => {
    const { values, crow, col, attrs } = w as BlockSparseTensor;
    return blockSparseKind.make({ values: clone(values), crow: clone(crow), col: clone(col) }, attrs, w.shape, w.dtype);
  }),
  vjp(blockSparseLinear, ({ needs, save }, _, x, values, crow, col, b, shape) => {
    const [input, blocks, places, columns] = [save(x), save(values), save(crow), save(col)];
    const B = values.shape[1]!;
    return (g) => [
      needs(0) ? linearGradInput(g, blockSparseExpand(blocks(), places(), columns(), shape)) : null,
      needs(1) ? blockSparseGather(linearGradWeight(g, input()), places(), columns(), B) : null,
      null,
      null,
      needs(4) && b !== undefined ? sum(reshape(g, [-1, b.shape[0]!]), 0) : null,
      null,
    ];
  }),
];
