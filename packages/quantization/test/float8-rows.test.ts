// Activations in float8 by rows: the one call gives what its two primitives give, and linears of one x what each alone gives.
import {
  bfloat16,
  chooseScaleFloat8,
  type Dense,
  type DType,
  float8_e4m3fn,
  float16,
  float32,
  linear,
  linears,
  quantizeAffineFloat8,
  tensor,
  uint8,
  viewDtype,
} from '@ao/core';
import { describe, expect, it } from 'vitest';
import { float8DynamicActivationFloat8Weight, perRow, quantizeActivationFloat8, quantizeTensor } from '../src/index.ts';
import { float8Rows } from '../src/kinds/float8-activation.ts';
import { devices } from './devices.ts';

describe.each(devices)('float8 rows on $device', ({ rt }) => {
  /** The second row is zeros; the third has a value far above the others. */
  const matrix = (rows: number, columns: number, dtype: DType): Dense => {
    const values = Float32Array.from({ length: rows * columns }, (_, i) => {
      const row = Math.floor(i / columns);
      return row === 1 ? 0 : row === 2 && i % columns === 5 ? 30000 : Math.sin(i * 0.7) * 3;
    });
    return tensor(rt, values, { shape: [rows, columns], dtype });
  };
  const data = async (t: Dense) => [...(await t.data())];

  it.each([
    [float32, 33],
    [bfloat16, 64],
    [float16, 40],
    [bfloat16, 129],
  ] as const)('%o, %i columns', async (dtype, columns) => {
    const x = matrix(5, columns, dtype);
    const { qdata, scale } = quantizeActivationFloat8(x, float8Rows('float8_e4m3fn'));
    const wanted = chooseScaleFloat8(x, [1, columns], float8_e4m3fn);
    const codes = quantizeAffineFloat8(x, wanted, float8_e4m3fn);
    expect(await data(scale as Dense)).toEqual(await data(wanted as Dense));
    expect(await data(viewDtype(qdata, uint8) as Dense)).toEqual(await data(viewDtype(codes, uint8) as Dense));
  });

  it('are made once for linears of one x', async () => {
    const x = matrix(4, 64, bfloat16);
    const config = float8DynamicActivationFloat8Weight({ granularity: perRow() });
    const ws = [48, 16].map((n) => quantizeTensor(matrix(n, 64, bfloat16), config));
    const together = linears(x, ws);
    for (const [i, w] of ws.entries())
      expect(await data(together[i] as Dense)).toEqual(await data(linear(x, w) as Dense));
  });
});
