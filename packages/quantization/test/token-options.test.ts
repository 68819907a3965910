// int8 activations with one scale, a reduced range, a scale that is given, and exact single rows: packed products against the plain
// ones, which are torchao's bit for bit (linear.test.ts).
import { bfloat16, cast, type DType, float16, float32, linear, packWeight, type Tensor, tensor } from '@ao/core';
import { expectClose } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import {
  type AoConfig,
  int8StaticActivationInt8Weight,
  parseScheme,
  perRow,
  perTensor,
  quantizeTensor,
} from '../src/index.ts';
import { devices } from './devices.ts';
import { matrix, wave } from './model.ts';

const fixed = (scale: number, zero: number | null, reduceRange: boolean): AoConfig =>
  int8StaticActivationInt8Weight({
    granularity: [perTensor(), perRow()],
    actQuantScale: [[scale]],
    reduceRange,
    ...(zero !== null && { actQuantZeroPoint: [[zero]], actMappingType: 'ASYMMETRIC' }),
  });
const CASES: [string, AoConfig][] = [
  ...['int8dq-reduce_range', 'int8dq-act_tensor', 'int8dq-tensor-reduce_range'].map((name): [string, AoConfig] => [
    name,
    parseScheme(name),
  ]),
  ['int8dq-asym-tensor', parseScheme('int8dq-asym-tensor')],
  ['int8dq-asym-reduce_range', parseScheme('int8dq-asym-reduce_range')],
  ['static', fixed(0.004, null, false)],
  ['static, reduced range, clipped', fixed(0.001, null, true)],
  ['static asymmetric', fixed(0.004, 9, false)],
];

describe.each(devices)('on $device', ({ rt, device }) => {
  const input = (rows: number, dtype: DType = float32): Tensor =>
    cast(tensor(rt, wave(rows * 96, rows), { shape: [rows, 96], device }), dtype);
  const numbers = async (t: Tensor): Promise<number[]> => Array.from(await t.data(), Number);

  it.each(CASES)('%s', async (_name, config) => {
    for (const dtype of [float32, bfloat16, float16]) {
      const weights = [1, 2].map(() => quantizeTensor(cast(matrix(rt, 40, 96, 3), dtype), config));
      const [plain, packed] = weights as [Tensor, Tensor];
      expect(packWeight(rt, packed)).toBe(device !== 'reference');
      for (const rows of [1, 3, 17]) {
        const x = input(rows, dtype);
        expectClose(await linear(x, packed).data(), await numbers(linear(x, plain)), {
          // 16 bits: the plain form rounds the activation scale and the sums between the scales
          rtol: dtype === float32 ? 2 ** -18 : 2 ** -5,
          axis: 40,
          why: 'sums in another order, rounded once',
        });
      }
    }
  });

  it('NaN poisons what it reaches: one row, or all where they share a scale', async () => {
    const x = await numbers(input(3));
    x[96] = Number.NaN;
    const bad = tensor(rt, x, { shape: [3, 96], dtype: float32, device });
    for (const [name, config] of CASES) {
      const w = quantizeTensor(matrix(rt, 40, 96, 3), config);
      if (!packWeight(rt, w)) continue;
      const y = await numbers(linear(bad, w));
      const shared = /tensor/.test(name);
      for (let row = 0; row < 3; row++)
        expect(Number.isNaN(y[row * 40]), `${name}, row ${row}`).toBe(row === 1 || shared);
    }
  });

  it('with exact rows a single row is weight-only, more are int8', async () => {
    const make = (scheme: string): Tensor => quantizeTensor(matrix(rt, 40, 96, 3), parseScheme(scheme));
    const [both, weightOnly, dynamic] = ['int8dq-exact_row', 'int8wo', 'int8dq'].map(make) as [Tensor, Tensor, Tensor];
    for (const packed of [false, true]) {
      if (packed && ![both, weightOnly, dynamic].every((w) => packWeight(rt, w))) continue;
      const [one, two] = [input(1), input(2)];
      expect(await numbers(linear(one, both))).toEqual(await numbers(linear(one, weightOnly)));
      expect(await numbers(linear(two, both))).toEqual(await numbers(linear(two, dynamic)));
      expect(await numbers(linear(one, both))).not.toEqual(await numbers(linear(one, dynamic)));
    }
  });
});
