// Samples of the quantization primitives.
import { bfloat16, float8_e4m3fn, float8_e5m2, float16, float32, int8, int32, uint8 } from '../../dtypes/index.ts';
import { type Make, type OpSamples, samples } from '../../sample.ts';
import type { Tensor } from '../../tensor.ts';
import { permute } from '../views.ts';
import { packBits, packedBytes, unpackBits } from './bits.ts';
import {
  chooseQparamsAffine,
  chooseQparamsAffineDontPreserveZero,
  chooseQparamsAffineTinygemm,
  chooseQparamsAffineWithMinMax,
} from './choose.ts';
import {
  dequantizeAffine,
  dequantizeAffineNoZeroPoint,
  dequantizeAffineTinygemm,
  fakeQuantizeAffine,
} from './dequantize.ts';
import { f32ToFloatxUnpacked, floatxUnpackedToF32 } from './exmy.ts';
import { fakeQuantizeGroups, fakeQuantizeGroupsGrad } from './fake-groups.ts';
import { fakeQuantizeInt4, fakeQuantizeInt4Grad } from './fake-int4.ts';
import { chooseScaleFloat8, dequantizeAffineFloat8, quantizeAffineFloat8 } from './float8.ts';
import { chooseQparamsAffineFloatx, dequantizeAffineFloatx, quantizeAffineFloatx } from './floatx.ts';
import { intMm } from './int-mm.ts';
import { packInt4, quantizeInt4, unpackInt4 } from './int4.ts';
import { quantizeAffine, quantizeAffineNoZeroPoint, quantizeAffineTinygemm } from './quantize.ts';
import { scaledMm } from './scaled-mm.ts';
import { viewDtype } from './view-dtype.ts';

const shape = [6, 64] as const;
const group = [1, 16];
const grid = [6, 4];
const dtypes = [float32, bfloat16, float16];
const named = dtypes.map((dtype) => ({ dtype, name: dtype.name }));

const values = (make: Make, dtype = float32 as (typeof dtypes)[number]): Tensor => make(shape, { dtype });
const scales = (make: Make, dtype = float32 as (typeof dtypes)[number]): Tensor =>
  make(grid, { dtype, fill: 'uniform', low: 0.01, high: 0.1 });
const zeros = (make: Make): Tensor => make(grid, { dtype: int8, fill: 'integer', low: -8, high: 8 });
const fakes = named.flatMap(({ dtype, name }) =>
  (['SYMMETRIC', 'SYMMETRIC_NO_CLIPPING_ERR', 'ASYMMETRIC'] as const).flatMap((mapping) => [
    { name: `${name}, ${mapping}`, dtype, options: { mapping, groupSize: 16, quantMin: -2, quantMax: 1 } },
    {
      name: `rows, ${name}, ${mapping}`,
      dtype,
      options: { mapping, groupSize: 0, quantMin: -128, quantMax: 127, scaleDtype: float32 },
    },
  ]),
);
const floatx = [
  [3, 2],
  [2, 3],
  [2, 1],
  [3, 0],
] as const;
const floatxCodes = (make: Make, bits: number): Tensor =>
  make(shape, { dtype: uint8, fill: 'integer', low: 0, high: 2 ** bits });
const rowScales = (make: Make, dtype: (typeof dtypes)[number]): Tensor =>
  make([6], { dtype, fill: 'uniform', low: 0.1, high: 0.5 });
const codes = (make: Make): Tensor => make(shape, { dtype: int8, fill: 'integer', low: -8, high: 8 });

const scaleOf = (make: Make, rows: number): Tensor => make([rows, 1], { fill: 'uniform', low: 0.1, high: 0.5 });
/** Of less than float32's precision on tensor cores, which align products to the largest. */
const float8Sums = { rtol: 2e-3, why: 'float8 tensor cores keep 14 bits of aligned products' };

export const quantSamples = (): OpSamples[] => [
  samples(
    chooseQparamsAffine,
    named.flatMap(({ dtype, name }) => [
      { name: `asymmetric ${name}`, args: (make) => [values(make, dtype), 'ASYMMETRIC', group, 'int8', {}] },
      {
        name: `symmetric rows ${name}`,
        args: (make) => [values(make, dtype), 'SYMMETRIC', [1, 64], 'int4', { keepdim: true }],
      },
      {
        name: `no clipping ${name}`,
        args: (make) => [
          values(make, dtype),
          'SYMMETRIC_NO_CLIPPING_ERR',
          [6, 64],
          'int8',
          { scaleDtype: float32, zeroPointDtype: int8 },
        ],
      },
      {
        name: `columns ${name}`,
        args: (make) => [values(make, dtype), 'SYMMETRIC', [6, 1], 'uint8', { eps: 2 ** -9 }],
      },
    ]),
  ),
  samples(chooseQparamsAffineDontPreserveZero, [
    {
      name: 'groups',
      args: (make) => [make(shape, { fill: 'uniform', low: 2, high: 3 }), 'ASYMMETRIC', group, 'uint8', {}],
    },
  ]),
  samples(
    chooseQparamsAffineTinygemm,
    named.map(({ dtype, name }) => ({ name, args: (make) => [values(make, dtype), 'ASYMMETRIC', group, 'uint4', {}] })),
  ),
  samples(chooseQparamsAffineWithMinMax, [
    {
      name: 'asymmetric',
      args: (make) => [
        make([9], { fill: 'uniform', low: -3, high: -1 }),
        make([9], { fill: 'uniform', low: 1, high: 3 }),
        'ASYMMETRIC',
        'int8',
        {},
      ],
    },
  ]),
  samples(
    quantizeAffine,
    named.flatMap(({ dtype, name }) => [
      {
        name: `scale ${name}`,
        args: (make) => [values(make, dtype), group, scales(make, dtype), zeros(make), 'int8', {}],
      },
      {
        name: `float32 scale, ${name}`,
        args: (make) => [values(make, dtype), group, scales(make), zeros(make), 'int4', {}],
      },
    ]),
  ),
  samples(quantizeAffineNoZeroPoint, [
    { name: 'groups', args: (make) => [values(make), group, scales(make), null, 'int8', {}] },
  ]),
  samples(
    quantizeAffineTinygemm,
    named.map(({ dtype, name }) => ({
      name,
      args: (make) => [values(make, dtype), group, scales(make, dtype), make(grid, { dtype }), 'uint4', {}],
    })),
  ),
  samples(
    dequantizeAffine,
    named.flatMap(({ dtype, name }) => [
      {
        name: `scale ${name}`,
        args: (make) => [codes(make), group, scales(make, dtype), zeros(make), 'int8', { outputDtype: dtype }],
      },
      {
        name: `float32 scale, ${name}`,
        args: (make) => [codes(make), group, scales(make), zeros(make), 'int8', { outputDtype: dtype }],
      },
    ]),
  ),
  samples(dequantizeAffineNoZeroPoint, [
    { name: 'groups', args: (make) => [codes(make), group, scales(make), null, 'int8', {}] },
  ]),
  samples(
    dequantizeAffineTinygemm,
    named.map(({ dtype, name }) => ({
      name,
      args: (make) => [codes(make), group, scales(make, dtype), make(grid, { dtype }), 'int4', { outputDtype: dtype }],
    })),
  ),
  samples(fakeQuantizeAffine, [
    { name: 'groups', args: (make) => [values(make), group, scales(make), zeros(make), 'int8', {}] },
  ]),
  samples(
    fakeQuantizeGroups,
    fakes.map(({ name, dtype, options }) => ({ name, args: (make) => [values(make, dtype), options] })),
  ),
  samples(
    fakeQuantizeGroupsGrad,
    fakes.map(({ name, dtype, options }) => ({
      name,
      args: (make) => [values(make, dtype), values(make, dtype), options],
    })),
  ),
  samples(
    fakeQuantizeInt4,
    named.flatMap(({ dtype, name }) =>
      [32, 20].map((n) => ({ name: `${name} ${n}`, args: (make) => [make([3, 3 * n], { dtype }), n] })),
    ),
  ),
  samples(
    fakeQuantizeInt4Grad,
    named.flatMap(({ dtype, name }) =>
      [32, 20].map((n) => ({
        name: `${name} ${n}`,
        args: (make) => [make([3, 3 * n], { dtype }), make([3, 3 * n], { dtype }), n],
        tolerance: { rtol: 1e-6, ulps: 1, why: 'the sum of a group in another order' },
      })),
    ),
  ),
  samples(
    quantizeInt4,
    named.flatMap(({ dtype, name }) => [
      { name, args: (make) => [values(make, dtype), 32] },
      { name: `${name} with float32 scales`, args: (make) => [values(make, dtype), 16, float32] },
    ]),
  ),
  samples(packInt4, [{ name: 'codes', args: (make) => [codes(make)] }]),
  samples(
    packBits,
    [1, 2, 3, 4, 5, 6, 7, 8].map((bits) => ({
      name: `${bits} bits`,
      args: (make: Make) => [make([3, 2, 29], { dtype: int8, fill: 'integer', low: -128, high: 128 }), bits] as const,
    })),
  ),
  samples(
    unpackBits,
    [1, 2, 3, 4, 5, 6, 7, 8].flatMap((bits) =>
      [true, false].map((isSigned) => ({
        name: `${bits} bits, ${isSigned ? '' : 'un'}signed`,
        args: (make: Make) =>
          [
            make([5, packedBytes(29, bits)], { dtype: uint8, fill: 'integer', low: 0, high: 256 }),
            bits,
            29,
            isSigned,
          ] as const,
      })),
    ),
  ),
  samples(unpackInt4, [
    { name: 'bytes', args: (make) => [make(shape, { dtype: int8, fill: 'integer', low: -128, high: 128 })] },
  ]),
  samples(
    chooseScaleFloat8,
    named.flatMap(({ dtype, name }) => [
      { name: `rows ${name}`, args: (make) => [values(make, dtype), [1, 64], float8_e4m3fn, {}] },
      {
        name: `blocks ${name}, held within bounds`,
        args: (make) => [values(make, dtype), [3, 32], float8_e5m2, { hpValueLb: 0.5, hpValueUb: 2 }],
      },
      {
        name: `powers of two ${name}`,
        args: (make) => [values(make, dtype), group, float8_e4m3fn, { powerOfTwo: true }],
      },
    ]),
  ),
  samples(
    quantizeAffineFloat8,
    named.map(({ dtype, name }) => ({ name, args: (make) => [values(make, dtype), scales(make), float8_e4m3fn] })),
  ),
  samples(
    dequantizeAffineFloat8,
    named.map(({ dtype, name }) => ({
      name,
      args: (make) => [make(shape, { dtype: float8_e5m2 }), scales(make), dtype],
    })),
  ),
  samples(
    f32ToFloatxUnpacked,
    floatx.map(([e, m]) => ({ name: `e${e}m${m}`, args: (make) => [values(make), e, m] })),
  ),
  samples(
    floatxUnpackedToF32,
    floatx.map(([e, m]) => ({ name: `e${e}m${m}`, args: (make) => [floatxCodes(make, 1 + e + m), e, m] })),
  ),
  samples(
    chooseQparamsAffineFloatx,
    named.map(({ dtype, name }) => ({ name, args: (make) => [values(make, dtype), 3, 2] })),
  ),
  samples(
    quantizeAffineFloatx,
    named.map(({ dtype, name }) => ({ name, args: (make) => [values(make, dtype), rowScales(make, dtype), 2, 3] })),
  ),
  samples(
    dequantizeAffineFloatx,
    named.map(({ dtype, name }) => ({
      name,
      args: (make) => [floatxCodes(make, 6), rowScales(make, dtype), 2, 3, dtype],
    })),
  ),
  samples(viewDtype, [
    { name: 'float32 as bytes', args: (make) => [values(make), uint8] },
    { name: 'float32 as integers', args: (make) => [values(make), int32] },
    { name: 'bytes as float8', args: (make) => [floatxCodes(make, 7), float8_e4m3fn] },
  ]),
  samples(intMm, [
    {
      name: 'int8',
      args: (make) => [codes(make), make([5, 64], { dtype: int8, fill: 'integer', low: -128, high: 128 })],
    },
    {
      name: 'turned, 1,100 columns',
      args: (make) => [
        permute(make([1100, 6], { dtype: int8, fill: 'integer', low: -128, high: 128 }), [1, 0]),
        permute(make([1100, 16], { dtype: int8, fill: 'integer', low: -128, high: 128 }), [1, 0]),
      ],
    },
  ]),
  samples(scaledMm, [
    ...([bfloat16, float32] as const).map((outDtype) => ({
      name: `one scale each, e4m3 and e5m2, ${outDtype.name}`,
      args: (make: Make): Parameters<typeof scaledMm> => [
        make([16, 64], { dtype: float8_e4m3fn }),
        scaleOf(make, 1),
        make([32, 64], { dtype: float8_e5m2 }),
        scaleOf(make, 1),
        { outDtype },
      ],
      tolerance: float8Sums,
    })),
    {
      name: 'by rows, divided',
      args: (make) => [
        make([7, 48], { dtype: float8_e4m3fn }),
        scaleOf(make, 7),
        make([16, 48], { dtype: float8_e4m3fn }),
        scaleOf(make, 16),
        { outDtype: bfloat16, divides: true, useFastAccum: true },
      ],
      tolerance: float8Sums,
    },
    {
      name: 'turned, rows and one scale',
      args: (make) => [
        permute(make([64, 16], { dtype: float8_e5m2 }), [1, 0]),
        scaleOf(make, 16),
        permute(make([64, 16], { dtype: float8_e4m3fn }), [1, 0]),
        scaleOf(make, 1),
        { outDtype: bfloat16 },
      ],
      tolerance: float8Sums,
    },
  ]),
];
