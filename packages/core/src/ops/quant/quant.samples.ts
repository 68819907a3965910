// Samples of the quantization primitives.
import { bfloat16, float16, float32, int8 } from '../../dtypes/index.ts';
import { type Make, type OpSamples, samples } from '../../sample.ts';
import type { Tensor } from '../../tensor.ts';
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
import { intMm } from './int-mm.ts';
import { packInt4, quantizeInt4, unpackInt4 } from './int4.ts';
import { quantizeAffine, quantizeAffineNoZeroPoint, quantizeAffineTinygemm } from './quantize.ts';

const shape = [6, 64] as const;
const group = [1, 16];
const grid = [6, 4];
const dtypes = [float32, bfloat16, float16];
const named = dtypes.map((dtype) => ({ dtype, name: dtype.name }));

const values = (make: Make, dtype = float32 as (typeof dtypes)[number]): Tensor => make(shape, { dtype });
const scales = (make: Make, dtype = float32 as (typeof dtypes)[number]): Tensor =>
  make(grid, { dtype, fill: 'uniform', low: 0.01, high: 0.1 });
const zeros = (make: Make): Tensor => make(grid, { dtype: int8, fill: 'integer', low: -8, high: 8 });
const codes = (make: Make): Tensor => make(shape, { dtype: int8, fill: 'integer', low: -8, high: 8 });

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
    quantizeInt4,
    named.flatMap(({ dtype, name }) => [
      { name, args: (make) => [values(make, dtype), 32] },
      { name: `${name} with float32 scales`, args: (make) => [values(make, dtype), 16, float32] },
    ]),
  ),
  samples(packInt4, [{ name: 'codes', args: (make) => [codes(make)] }]),
  samples(unpackInt4, [
    { name: 'bytes', args: (make) => [make(shape, { dtype: int8, fill: 'integer', low: -128, high: 128 })] },
  ]),
  samples(intMm, [
    {
      name: 'int8',
      args: (make) => [codes(make), make([5, 64], { dtype: int8, fill: 'integer', low: -128, high: 128 })],
    },
  ]),
];
