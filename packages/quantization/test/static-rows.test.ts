// Static int8 activations with a scale for each row of x: packed, they give what the plain ops give, and rows that have no scale are an error.
import { bfloat16, cast, float32, isAoError, linear, packWeight, type Tensor, tensor } from '@ao/core';
import { expectClose } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { int8StaticActivationInt8Weight, quantizeTensor } from '../src/index.ts';
import { devices } from './devices.ts';
import { wave } from './model.ts';

const [N, K] = [24, 80];
const numbers = async (t: Tensor): Promise<Float32Array> => Float32Array.from(await t.data(), Number);

describe.each(devices)('static scales of rows on $device', ({ rt, device }) => {
  for (const rows of [1, 6, 40]) {
    for (const mapping of ['SYMMETRIC', 'ASYMMETRIC'] as const) {
      for (const dtype of [float32, bfloat16]) {
        it(`${rows} rows, ${mapping}, ${dtype.name}`, async () => {
          // rows of different size, so that another row's scale would saturate them or lose their digits
          const values = wave(rows * K, 3).map((v, i) => v * 2 ** (Math.floor(i / K) % 5));
          const x = cast(tensor(rt, values, { shape: [1, rows, K] }), dtype);
          const config = int8StaticActivationInt8Weight({
            actQuantScale: [Array.from({ length: rows }, (_, i) => [2 ** (i % 5) / 100])],
            actMappingType: mapping,
            ...(mapping === 'ASYMMETRIC' && {
              actQuantZeroPoint: [Array.from({ length: rows }, (_, i) => [(i % 7) - 3])],
            }),
          });
          const weight = () => cast(tensor(rt, wave(N * K, 5), { shape: [N, K] }), dtype);
          const w = quantizeTensor(weight(), config);
          const want = await numbers(linear(x, w));
          expect(packWeight(rt, w)).toBe(device !== 'reference');
          const why =
            'the zero point is part of the integer sums when packed; bfloat16 rounds between the scales otherwise';
          const rtol = dtype === bfloat16 ? 2 ** -6 : 2 ** -19;
          expectClose(await numbers(linear(x, w)), want, { rtol, axis: N, why });
        });
      }
    }
  }

  it('other rows than the scales are for', () => {
    const w = quantizeTensor(
      tensor(rt, wave(N * K, 5), { shape: [N, K] }),
      int8StaticActivationInt8Weight({ actQuantScale: [[0.01], [0.02]] }),
    );
    const x = tensor(rt, wave(3 * K, 3), { shape: [3, K] });
    const refused = (e: unknown): boolean => isAoError(e);
    expect(() => linear(x, w)).toThrow(expect.toSatisfy(refused));
    if (packWeight(rt, w)) expect(() => linear(x, w)).toThrow(/static scales of 2 rows met an activation of 3/);
  });
});
