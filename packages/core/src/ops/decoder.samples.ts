import { bfloat16, float16, float32, int32, uint8 } from '../dtypes/index.ts';
import { encodeCodeRows } from '../reference/code-rows.ts';
import { type Make, type OpSamples, samples } from '../sample.ts';
import { attention, kvAppend_, rope } from './attention.ts';
import { embedding, gather } from './embedding.ts';
import { linearExperts } from './experts.ts';
import { linear, linearAdd, linears, matmul } from './matmul.ts';
import { layerNorm, rmsNorm, siluMul } from './norm.ts';
import { type CodeRows, codeRowBytes } from './quant/code-rows.ts';
import { sample_ } from './sample.ts';
import { logSoftmax, negativeLogLikelihood, softmax } from './softmax.ts';
import { permute } from './views.ts';

const SUM = { ulps: 16, rtol: 2 ** -17, why: 'float32 sums in another order than the exact ones' };
const EXP = { ulps: 16, rtol: 2 ** -18, why: 'exp of at most 2 ulp, sums in another order' };
const ROTATED = { ulps: 4, rtol: 2 ** -21, why: 'two products and a sum, each rounded' };
const CODES = {
  ulps: 16,
  rtol: 2 ** -16,
  why: 'scales are applied after the sums, which codes up to 15 beside an offset lengthen',
};
const WEIGHTS = {
  ulps: 16,
  rtol: 2 ** -6,
  why: 'probabilities of 16 bits where the processor multiplies tiles of them',
};
const FLOATS = [float32, bfloat16, float16];

const index = (make: Make, shape: readonly number[], high: number) =>
  make(shape, { dtype: int32, fill: 'integer', low: 0, high });

const CODE_ROWS: readonly CodeRows[] = ([8, 4] as const).flatMap((bits) =>
  [false, true].map((asymmetric) => ({ bits, asymmetric })),
);
const nameOf = ({ bits, asymmetric }: CodeRows): string => `${asymmetric ? 'asymmetric ' : ''}${bits}-bit rows`;

/** A cache [B, H, P, R] of rows of n values. */
const codeRows = (make: Make, rows: CodeRows, [b, h, p]: readonly [number, number, number], n: number) => {
  const values = Array.from({ length: b * h * p * n }, (_, i) => Math.sin(i * i * 0.37) + 0.3 * Math.cos(i * 0.011));
  return make([b, h, p, codeRowBytes(rows, n)], { dtype: uint8, fill: [...encodeCodeRows(rows, values, n)] });
};

export const decoderSamples = (): OpSamples[] => [
  samples(linear, [
    ...FLOATS.flatMap((dtype) => [
      {
        name: `${dtype.name} one row`,
        args: (make: Make) => [make([1, 72], { dtype }), make([37, 72], { dtype })],
        tolerance: SUM,
      },
      {
        name: `${dtype.name} ragged, bias`,
        args: (make: Make) => [make([2, 5, 71], { dtype }), make([33, 71], { dtype }), make([33], { dtype })],
        tolerance: SUM,
      },
    ]),
    { name: 'many rows', args: (make) => [make([65, 128]), make([48, 128])], tolerance: SUM },
  ]),
  samples(linears, [
    { name: 'three', args: (make) => [make([3, 40]), [make([16, 40]), make([8, 40]), make([8, 40])]], tolerance: SUM },
  ]),
  samples(linearAdd, [
    { name: 'float32', args: (make) => [make([3, 40]), make([16, 40]), undefined, make([3, 16])], tolerance: SUM },
    {
      name: 'bfloat16',
      args: (make) => [
        make([3, 40], { dtype: bfloat16 }),
        make([16, 40], { dtype: bfloat16 }),
        undefined,
        make([3, 16], { dtype: bfloat16 }),
      ],
      tolerance: SUM,
    },
  ]),
  samples(linearExperts, [
    {
      name: 'a row for all slots of a token',
      args: (make) => [make([5, 1, 40]), [make([16, 40]), make([16, 40]), make([16, 40])], index(make, [5, 2], 3)],
      tolerance: SUM,
    },
    {
      name: 'a row for each slot, bfloat16',
      args: (make) => [
        make([3, 2, 40], { dtype: bfloat16 }),
        [make([16, 40], { dtype: bfloat16 }), make([16, 40], { dtype: bfloat16 })],
        index(make, [3, 2], 2),
      ],
      tolerance: SUM,
    },
  ]),
  samples(matmul, [
    { name: 'batched', args: (make) => [make([2, 3, 17, 9]), make([3, 9, 21])], tolerance: SUM },
    { name: 'transposed', args: (make) => [make([5, 33]), permute(make([7, 33]), [1, 0])], tolerance: SUM },
    {
      name: 'bfloat16',
      args: (make) => [make([5, 33], { dtype: bfloat16 }), make([33, 7], { dtype: bfloat16 })],
      tolerance: SUM,
    },
  ]),
  ...[softmax, logSoftmax].map((op) =>
    samples(
      op,
      FLOATS.map((dtype) => ({ name: dtype.name, args: (make) => [make([5, 77], { dtype })], tolerance: EXP })),
    ),
  ),
  samples(negativeLogLikelihood, [
    { name: 'float32', args: (make) => [make([6, 100]), index(make, [6], 100), -100], tolerance: EXP },
    {
      name: 'ignored',
      args: (make) => [make([3, 10]), make([3], { dtype: int32, fill: [1, -100, 9] }), -100],
      tolerance: EXP,
    },
  ]),
  samples(
    rmsNorm,
    FLOATS.flatMap((dtype) => [
      {
        name: dtype.name,
        args: (make: Make) => [make([4, 72], { dtype }), make([72], { dtype }), 1e-5],
        tolerance: SUM,
      },
      {
        name: `${dtype.name}, 1 added to the weight`,
        args: (make: Make) => [make([4, 72], { dtype }), make([72], { dtype }), 1e-5, 1],
        tolerance: SUM,
      },
    ]),
  ),
  samples(
    layerNorm,
    FLOATS.map((dtype) => ({
      name: dtype.name,
      args: (make) => [make([4, 72], { dtype }), make([72], { dtype }), make([72], { dtype }), 1e-5],
      tolerance: SUM,
    })),
  ),
  samples(
    siluMul,
    FLOATS.map((dtype) => ({
      name: dtype.name,
      args: (make) => [make([4, 73], { dtype }), make([4, 73], { dtype })],
      tolerance: EXP,
    })),
  ),
  samples(rope, [
    ...FLOATS.map((dtype) => ({
      name: dtype.name,
      args: (make: Make) => [
        make([2, 3, 4, 16], { dtype }),
        make([10, 8], { fill: 'uniform', low: -1, high: 1 }),
        make([10, 8], { fill: 'uniform', low: -1, high: 1 }),
        make([3], { dtype: int32, fill: [4, 5, 9] }),
      ],
      tolerance: ROTATED,
    })),
    {
      name: 'the first 8 of 16',
      args: (make) => [
        make([2, 3, 4, 16]),
        make([10, 4], { fill: 'uniform', low: -1, high: 1 }),
        make([10, 4], { fill: 'uniform', low: -1, high: 1 }),
        make([3], { dtype: int32, fill: [4, 5, 9] }),
      ],
      tolerance: ROTATED,
    },
    {
      name: 'positions of each sequence',
      args: (make) => [
        make([3, 1, 4, 16]),
        make([10, 8], { fill: 'uniform', low: -1, high: 1 }),
        make([10, 8], { fill: 'uniform', low: -1, high: 1 }),
        make([3, 1], { dtype: int32, fill: [4, 0, 9] }),
      ],
      tolerance: ROTATED,
    },
  ]),
  samples(kvAppend_, [
    {
      name: 'two positions',
      args: (make) => [make([1, 2, 8, 16]), make([1, 2, 2, 16]), make([1], { dtype: int32, fill: [3] })],
    },
    ...[bfloat16, float16].map((dtype) => ({
      name: `float32 into ${dtype.name}`,
      args: (make: Make) => [
        make([1, 2, 8, 16], { dtype }),
        make([1, 2, 2, 16]),
        make([1], { dtype: int32, fill: [3] }),
      ],
    })),
    {
      name: 'a position for each sequence',
      args: (make) => [make([3, 2, 8, 16]), make([3, 1, 2, 16]), make([3], { dtype: int32, fill: [3, 7, 0] })],
    },
  ]),
  samples(
    kvAppend_,
    CODE_ROWS.flatMap((rows) =>
      FLOATS.map((dtype) => ({
        name: `${dtype.name} into ${nameOf(rows)}`,
        args: (make: Make) => [
          make([2, 2, 8, codeRowBytes(rows, 22)], { dtype: uint8, fill: 'integer', low: 0, high: 256 }),
          make([2, 3, 2, 22], { dtype }),
          make([2], { dtype: int32, fill: [3, 0] }),
          rows,
        ],
      })),
    ),
  ),
  samples(attention, [
    ...CODE_ROWS.map((rows) => ({
      name: `decode over ${nameOf(rows)}`,
      args: (make: Make) => [
        make([2, 1, 4, 32]),
        codeRows(make, rows, [2, 1, 260], 32),
        codeRows(make, rows, [2, 1, 260], 32),
        make([2], { dtype: int32, fill: [258, 7] }),
        undefined,
        { causal: true, keyRows: rows, valueRows: rows },
      ],
      tolerance: CODES,
    })),
    ...CODE_ROWS.map((rows) => ({
      name: `bfloat16 over ${nameOf(rows)}`,
      args: (make: Make) => [
        make([2, 2, 4, 32], { dtype: bfloat16 }),
        codeRows(make, rows, [2, 2, 400], 32),
        codeRows(make, rows, [2, 2, 400], 32),
        make([2], { dtype: int32, fill: [396, 7] }),
        undefined,
        { causal: true, keyRows: rows, valueRows: rows },
      ],
      tolerance: WEIGHTS,
    })),
    ...[bfloat16, float16].flatMap((dtype) =>
      [
        { tokens: 1, heads: 8, dim: 128, keys: 300, first: 297 },
        { tokens: 9, heads: 4, dim: 72, keys: 300, first: 200 },
        { tokens: 70, heads: 4, dim: 80, keys: 150, first: 75 },
        { tokens: 33, heads: 2, dim: 160, keys: 60, first: 20 },
      ].map(({ tokens, heads, dim, keys, first }) => ({
        name: `${dtype.name}, ${tokens} tokens, heads of ${dim}`,
        args: (make: Make) => [
          make([2, tokens, heads, dim], { dtype }),
          make([2, 2, keys, dim], { dtype }),
          make([2, 2, keys, dim], { dtype }),
          make([2], { dtype: int32, fill: [first, 5] }),
          undefined,
          { causal: true, ...(tokens === 70 && { window: 40, softcap: 1.5 }) },
        ],
        tolerance: WEIGHTS,
      })),
    ),
    {
      name: 'window and soft cap over keys of 8 bits and values of bfloat16',
      args: (make) => [
        make([1, 5, 2, 24], { dtype: bfloat16 }),
        codeRows(make, CODE_ROWS[1]!, [1, 1, 80], 24),
        make([1, 1, 80, 24], { dtype: bfloat16 }),
        make([1], { dtype: int32, fill: [70] }),
        undefined,
        { causal: true, window: 40, softcap: 1.5, keyRows: CODE_ROWS[1] },
      ],
      tolerance: CODES,
    },
    {
      name: 'decode with a cache',
      args: (make) => [
        make([1, 1, 4, 16]),
        make([1, 2, 32, 16]),
        make([1, 2, 32, 16]),
        make([1], { dtype: int32, fill: [9] }),
        undefined,
        { causal: true },
      ],
      tolerance: SUM,
    },
    {
      name: 'decode of sequences at positions of their own',
      args: (make) => [
        make([3, 1, 4, 16]),
        make([3, 2, 300, 16]),
        make([3, 2, 300, 16]),
        make([3], { dtype: int32, fill: [9, 299, 0] }),
        undefined,
        { causal: true },
      ],
      tolerance: SUM,
    },
    ...[bfloat16, float16].map((dtype) => ({
      name: `float32 over a cache of ${dtype.name}`,
      args: (make: Make) => [
        make([1, 3, 6, 64]),
        make([1, 2, 300, 64], { dtype }),
        make([1, 2, 300, 64], { dtype }),
        make([1], { dtype: int32, fill: [270] }),
        undefined,
        { causal: true },
      ],
      tolerance: SUM,
    })),
    {
      name: 'prefill over 300 keys',
      args: (make) => [
        make([1, 300, 4, 16]),
        make([1, 2, 300, 16]),
        make([1, 2, 300, 16]),
        undefined,
        undefined,
        { causal: true },
      ],
      tolerance: SUM,
    },
    {
      name: 'mask, batch, bfloat16',
      args: (make) => [
        make([2, 5, 2, 8], { dtype: bfloat16 }),
        make([2, 2, 7, 8], { dtype: bfloat16 }),
        make([2, 2, 7, 8], { dtype: bfloat16 }),
        undefined,
        make([5, 7]),
        {},
      ],
      tolerance: SUM,
    },
    {
      name: 'keys hidden from each sequence',
      args: (make) => [
        make([2, 3, 4, 16]),
        make([2, 4, 5, 16]),
        make([2, 4, 5, 16]),
        undefined,
        make([2, 1, 1, 5], { fill: [0, 0, 0, 0, 0, 0, 0, Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY] }),
        {},
      ],
      tolerance: SUM,
    },
    {
      name: 'a bias of each head',
      args: (make) => [
        make([2, 3, 4, 16]),
        make([2, 2, 300, 16]),
        make([2, 2, 300, 16]),
        undefined,
        make([1, 4, 3, 300]),
        {},
      ],
      tolerance: SUM,
    },
    {
      name: 'window',
      args: (make) => [
        make([1, 20, 2, 8]),
        make([1, 1, 20, 8]),
        make([1, 1, 20, 8]),
        undefined,
        undefined,
        { causal: true, window: 6 },
      ],
      tolerance: SUM,
    },
    {
      name: 'soft cap and window, two splits of keys',
      args: (make) => [
        make([1, 20, 4, 16]),
        make([1, 2, 300, 16]),
        make([1, 2, 300, 16]),
        make([1], { dtype: int32, fill: [270] }),
        undefined,
        { causal: true, window: 40, softcap: 1.5 },
      ],
      tolerance: SUM,
    },
  ]),
  samples(
    embedding,
    FLOATS.map((dtype) => ({ name: dtype.name, args: (make) => [make([11, 24], { dtype }), index(make, [2, 3], 11)] })),
  ),
  samples(gather, [{ name: 'last', args: (make) => [make([3, 9]), 1, index(make, [3, 4], 9)] }]),
  samples(sample_, [
    ...[
      { temperature: 0, topK: 0, topP: 1 },
      { temperature: 0.8, topK: 0, topP: 1 },
      { temperature: 1.2, topK: 20, topP: 0.9 },
      { temperature: 1.5, topK: 0, topP: 1, minP: 0.2 },
      { temperature: 1.5, topK: 40, topP: 0.95, minP: 0.1 },
    ].map((options) => ({
      refusesStrided: true as const,
      name: `temperature ${options.temperature}, top-k ${options.topK}, top-p ${options.topP}, min-p ${options.minP ?? 0}`,
      args: (make: Make) => [
        make([3], { dtype: int32, fill: [0, 0, 0] }),
        make([3, 300]),
        make([3, 2], { dtype: int32, fill: [42, 7, 43, 7, 42, 8] }),
        options,
      ],
    })),
  ]),
];
