// Rotary tables: LongRoPE's two live side by side, and growing keeps what was there.
import { createRuntime, type Tensor } from '@ao/core';
import { expect, test } from 'vitest';
import { Fields } from '../src/config/fields.ts';
import { inverseFrequencies, parseRope } from '../src/config/rope.ts';
import { RopeTable } from '../src/models/rope-table.ts';

const config = {
  max_position_embeddings: 64,
  original_max_position_embeddings: 16,
  rope_scaling: { type: 'longrope', short_factor: [1, 2], long_factor: [3, 4] },
};
const rope = parseRope(new Fields(config, 'config.json'));
/** sqrt(1 + ln(64 / 16) / ln(16)), which multiplies cos and sin. */
const factor = Math.sqrt(1 + Math.log(4) / Math.log(16));

const row = async (t: Tensor, p: number): Promise<number[]> => [...(await t.data())].slice(2 * p, 2 * p + 2);

test('longrope: the factors of the length that a sequence may reach', async () => {
  const rt = await createRuntime({ use: [] });
  const table = new RopeTable(rope, 4);
  const [short] = table.tables(rt, 16, 'reference');
  const [long] = table.tables(rt, 17, 'reference');
  const cosOf = (scales: readonly number[]): number[] =>
    scales.map((s, i) => factor * Math.cos(5 / (s * 10000 ** (i / 2))));
  for (const [t, scales] of [
    [short, [1, 2]],
    [long, [3, 4]],
  ] as const)
    for (const [i, x] of (await row(t, 5)).entries()) expect(x).toBeCloseTo(cosOf(scales)[i]!, 5);
  expect(table.tables(rt, 10, 'reference')[0]).toBe(short);
  const before = await row(long, 5);
  expect(await row(table.tables(rt, 40, 'reference')[0], 5)).toEqual(before);
  table.dispose();
  await rt.close();
});

test('yarn: long waves are divided, short ones kept (numbers of transformers)', () => {
  const yarn = parseRope(
    new Fields(
      {
        max_position_embeddings: 32768,
        rope_theta: 1e6,
        rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 32768 },
      },
      'config.json',
    ),
  );
  expect(yarn).toMatchObject({ attentionFactor: 0.1 * Math.log(4) + 1, betaFast: 32, betaSlow: 1 });
  const plain = inverseFrequencies({ type: 'default', theta: 1e6 }, 128);
  const scaled = inverseFrequencies(yarn, 128);
  expect(scaled[0]).toBe(1);
  expect(scaled[10]).toBe(plain[10]);
  expect(scaled[63]! / plain[63]!).toBeCloseTo(1 / 4, 6);
  expect(scaled[30]! / plain[30]!).toBeCloseTo(0.6912, 4);
});
