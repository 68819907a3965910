// A weight [N, K] in square blocks of B of which most are zero, as compressed block rows (BSR): values [S, B, B] of the S blocks that
// are kept, row by row, col int32 [S] their block columns, crow int32 [N / B + 1] where each block row begins in them.
import { AoError, type Dense, defineOp, linear, rawOf, scope, storeRaw, type Tensor, valuesOf } from '@ao/core';

export interface BlockShape {
  readonly N: number;
  readonly K: number;
}

function checkBlocks(op: string, values: Tensor, crow: Tensor, col: Tensor, { N, K }: BlockShape): void {
  const [count = 0, B = 0, columns] = values.shape;
  const fits =
    values.ndim === 3 &&
    B === columns &&
    B > 0 &&
    N % B === 0 &&
    K % B === 0 &&
    col.numel === count &&
    crow.numel === N / B + 1;
  if (fits && crow.dtype.name === 'int32' && col.dtype.name === 'int32') return;
  throw new AoError(
    'ERR_AO_SHAPE',
    `values [${values.shape}], crow ${crow.dtype.name} [${crow.shape}] and col ${col.dtype.name} [${col.shape}] are no weight [${N}, ${K}]`,
    { op, fix: 'give values [S, B, B], int32 crow [N / B + 1] and int32 col [S]' },
  );
}

/** fn(block, row, column) for each block that is kept; positions of its first element. */
export function eachBlock(
  crow: ArrayLike<number>,
  col: ArrayLike<number>,
  B: number,
  fn: (block: number, row: number, column: number) => void,
): void {
  for (let r = 0; r + 1 < crow.length; r++) for (let s = crow[r]!; s < crow[r + 1]!; s++) fn(s, r * B, col[s]! * B);
}

/** The weight [N, K] of its blocks. */
export const blockSparseExpand = /*@__PURE__*/ defineOp<[values: Tensor, crow: Tensor, col: Tensor, shape: BlockShape]>(
  'block_sparse_expand',
  {
    meta(values, crow, col, shape) {
      checkBlocks('block_sparse_expand', values, crow, col, shape);
      return { shape: [shape.N, shape.K], dtype: values.dtype };
    },
    reference(out: Dense, values: Dense, crow: Dense, col: Dense, { K }: BlockShape) {
      const B = values.shape[1]!;
      const from = rawOf(values);
      const to = new out.dtype.array(out.numel);
      eachBlock(valuesOf(crow), valuesOf(col), B, (s, row, column) => {
        for (let i = 0; i < B; i++) {
          const at = (s * B + i) * B;
          to.set(from.subarray(at, at + B) as never, (row + i) * K + column);
        }
      });
      storeRaw(out, to);
    },
  },
);

/** The blocks [S, B, B] of a matrix x [N, K] at the places that crow and col name. */
export const blockSparseGather = /*@__PURE__*/ defineOp<[x: Tensor, crow: Tensor, col: Tensor, B: number]>(
  'block_sparse_gather',
  {
    meta(x, crow, col, B) {
      const shape = [col.numel, B, B];
      checkBlocks('block_sparse_gather', { ...x, shape, ndim: 3 } as never, crow, col, {
        N: x.shape[0]!,
        K: x.shape[1]!,
      });
      return { shape, dtype: x.dtype };
    },
    reference(out: Dense, x: Dense, crow: Dense, col: Dense, B: number) {
      const K = x.shape[1]!;
      const from = rawOf(x);
      const to = new out.dtype.array(out.numel);
      eachBlock(valuesOf(crow), valuesOf(col), B, (s, row, column) => {
        for (let i = 0; i < B; i++) {
          const at = (row + i) * K + column;
          to.set(from.subarray(at, at + B) as never, (s * B + i) * B);
        }
      });
      storeRaw(out, to);
    },
  },
);

/** y = x W^T + b for x [..., K] of the values' dtype; only blocks that are kept are read. */
export const blockSparseLinear = /*@__PURE__*/ defineOp<
  [x: Tensor, values: Tensor, crow: Tensor, col: Tensor, b: Tensor | undefined, shape: BlockShape]
>('block_sparse_linear', {
  meta(x, values, crow, col, b, shape) {
    checkBlocks('block_sparse_linear', values, crow, col, shape);
    if (x.shape[x.ndim - 1] !== shape.K || x.dtype !== values.dtype || (b !== undefined && b.numel !== shape.N)) {
      throw new AoError(
        'ERR_AO_SHAPE',
        `x ${x.dtype.name} [${x.shape}] and bias [${b?.shape ?? ''}] do not fit a weight ${values.dtype.name} [${shape.N}, ${shape.K}]`,
        { op: 'block_sparse_linear', fix: 'match in_features, out_features and dtype' },
      );
    }
    return { shape: [...x.shape.slice(0, -1), shape.N], dtype: x.dtype };
  },
  decompose: (x, values, crow, col, b, shape) => scope(() => linear(x, blockSparseExpand(values, crow, col, shape), b)),
});
