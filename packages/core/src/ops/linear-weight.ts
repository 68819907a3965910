// Linear and embedding on a weight in codes, scales and zero points, as kinds describe it by WeightFormat:
//   none: w = q*s    int: w = (q - z)*s    float: w = q*s + z, q the code or what its table says
// activation: exact = float32 x; int8-group = x in symmetric int8 per min(32, group) values, scale amax/127;
// int8-token = per row, symmetric, scale amax/127.5; int8-token-asym = per row with zero point (torchao's 8da4w).

import { tensor } from '../create.ts';
import type { DType } from '../dtype.ts';
import { float32, int32 } from '../dtypes/index.ts';
import { type OverrideEntry, override } from '../extension.ts';
import type { Kind } from '../kind.ts';
import { defineOp } from '../op.ts';
import { groupsOf, type WeightFormat, type WeightParts } from '../packed.ts';
import { scope } from '../scope.ts';
import type { Tensor, Wrapped } from '../tensor.ts';
import { add, mul, sub } from './binary.ts';
import { requireDtype, requireFloat, requireShape, shapeError } from './checks.ts';
import { cast } from './copy.ts';
import { embedding } from './embedding.ts';
import { linear } from './matmul.ts';
import { unpackInt4 } from './quant/int4.ts';
import { expand, reshape, slice } from './views.ts';

function checkTable(op: string, f: WeightFormat): void {
  if ((f.code === 'table') !== (f.table !== undefined)) {
    throw shapeError(
      op,
      `a format of code ${f.code} has ${f.table ? 'a' : 'no'} table`,
      "give table with code 'table' only",
    );
  }
  if (f.table !== undefined && ![2, 4, 8, 16, 32, 64, 128, 256].includes(f.table.length)) {
    throw shapeError(op, `a table of ${f.table.length} values`, 'give 2^b values for codes of b = 1 to 8 bits');
  }
}

function checkParts(
  op: string,
  codes: Tensor,
  scale: Tensor | undefined,
  zero: Tensor | undefined,
  f: WeightFormat,
): void {
  if (!(f.groupSize >= 1)) throw shapeError(op, `the group size ${f.groupSize}`, 'give at least 1');
  checkTable(op, f);
  requireShape(op, 'codes', codes, [f.N, f.code === 'int4' ? Math.ceil(f.K / 2) : f.K]);
  for (const [name, t] of [
    ['scale', scale],
    ['zero', zero],
  ] as const) {
    if (t !== undefined) requireShape(op, name, t, [f.N, groupsOf(f)]);
  }
}

/** x [..., K] with a weight [N, K] in parts, b [N] -> [..., N] in x's dtype. */
export const linearWeight = /*@__PURE__*/ defineOp<
  [
    x: Tensor,
    codes: Tensor,
    scale: Tensor | undefined,
    zero: Tensor | undefined,
    b: Tensor | undefined,
    format: WeightFormat,
  ]
>('linear_weight', {
  meta(x, codes, scale, zero, b, f) {
    requireFloat('linear_weight', 'x', x);
    checkParts('linear_weight', codes, scale, zero, f);
    if (x.shape[x.ndim - 1] !== f.K) {
      throw shapeError('linear_weight', `x [${x.shape}] does not fit the weight [${f.N},${f.K}]`, 'match in_features');
    }
    if (b !== undefined) requireShape('linear_weight', 'b', b, [f.N]);
    return { shape: [...x.shape.slice(0, -1), f.N], dtype: x.dtype };
  },
});

/** Rows of a weight [N, K] in parts, by int32 indices -> [..., K] in `dtype`. */
export const embeddingWeight = /*@__PURE__*/ defineOp<
  [
    codes: Tensor,
    scale: Tensor | undefined,
    zero: Tensor | undefined,
    indices: Tensor,
    format: WeightFormat,
    dtype: DType,
  ]
>('embedding_weight', {
  meta(codes, scale, zero, indices, f, dtype) {
    checkParts('embedding_weight', codes, scale, zero, f);
    requireDtype('embedding_weight', 'indices', indices, [int32]);
    return { shape: [...indices.shape, f.K], dtype };
  },
  decompose(codes, scale, zero, indices, f, dtype) {
    const lead = indices.shape;
    const perColumn = (t: Tensor): Tensor => {
      const groups = reshape(cast(embedding(t, indices), float32), [...lead, -1, 1]);
      return slice(reshape(expand(groups, [...lead, groupsOf(f), f.groupSize]), [...lead, -1]), lead.length, 0, f.K);
    };
    const rows = embedding(codes, indices);
    const values =
      f.table !== undefined
        ? reshape(
            embedding(
              tensor(codes.rt, f.table, { shape: [f.table.length, 1], device: codes.device }),
              cast(rows, int32),
            ),
            rows.shape,
          )
        : cast(f.code === 'int4' ? slice(unpackInt4(rows), lead.length, 0, f.K) : rows, float32);
    let w: Tensor = values;
    if (zero !== undefined && f.zeroDomain === 'int') w = sub(w, perColumn(zero));
    if (scale !== undefined) w = mul(w, perColumn(scale));
    if (zero !== undefined && f.zeroDomain === 'float') w = add(w, perColumn(zero));
    return cast(w, dtype);
  },
});

/** The plain weight of a kind that answers `weight`. */
export function weightOf(t: Wrapped): WeightParts {
  const parts = t.kind.spec.weight?.(t as never);
  if (parts == null)
    throw shapeError('linear', `this tensor of kind ${t.kind.name} is no weight`, 'dequantize it first');
  return parts;
}

/** What a kind needs to serve as a weight: overrides of linear and embedding through its WeightFormat. */
export function weightOverrides(kind: Kind): OverrideEntry[] {
  return [
    override(linear, 1, kind, (x, w, b) =>
      scope(() => {
        const { codes, scale, zero, format } = weightOf(w as Wrapped);
        return linearWeight(x, codes, scale, zero, b, format);
      }),
    ),
    override(embedding, 0, kind, (w, indices) =>
      scope(() => {
        const { codes, scale, zero, format } = weightOf(w as Wrapped);
        return embeddingWeight(codes, scale, zero, indices, format, w.dtype);
      }),
    ),
  ];
}
