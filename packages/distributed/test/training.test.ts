// Two ranks against one process: losses of the first steps, for data parallel, sharded, float8 and QLoRA models, and over checkpoints.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launched, type Ran } from './launched.ts';

type Told = Readonly<Record<string, number[]>>;

let folder = '';
let ran: Ran<Told>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-shards-'));
  ran = await launched<Told>('training', 2, { AO_TEST_FOLDER: folder });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The largest relative difference. */
const apart = (a: string, b: string, [from, to]: readonly [number, number] = [0, 100]): number => {
  const [x, y] = [ran.told[0]![a]!, ran.told[0]![b]!.slice(from, to)];
  expect(x.length, a).toBe(y.length);
  return Math.max(...x.map((v, i) => Math.abs(v - y[i]!) / Math.abs(y[i]!)));
};

it('ends well, with equal losses on both ranks', () => {
  expect(ran.code, ran.text).toBe(0);
  const [zero, one] = ran.told;
  expect({ ...one, rank: 0 }).toEqual(zero);
  const losses = zero!['float32 sharded']!;
  expect(losses).toHaveLength(20);
  expect(losses[19]!).toBeLessThan(losses[0]! - 1);
});

it.each([
  ['float32', 1e-6],
  ['bfloat16', 1e-3],
])('20 steps in %s are those of one process', (dtype, most) => {
  expect(ran.told[0]![`${dtype} sharded names`]).toBe(15);
  expect(apart(`${dtype} replicated`, `${dtype} one`)).toBeLessThan(most);
  expect(apart(`${dtype} sharded`, `${dtype} one`)).toBeLessThan(most);
});

it('a sharded model generates what the whole one does', () => {
  const [one, many] = ran.told[0]!['generated'] as unknown as number[][];
  expect(many).toHaveLength(6);
  expect(many).toEqual(one);
});

it('shards saved by two ranks go on in one process, and the other way, with moments in 8 bits', async () => {
  expect((await readdir(join(folder, 'from-two'))).sort()).toEqual([
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
    'model.shards.json',
  ]);
  expect(apart('8 bits, two ranks', '8 bits, one')).toBeLessThan(5e-4);
  expect(apart('8 bits, then one', '8 bits, two ranks', [6, 10])).toBeLessThan(2e-4);
  expect(apart('8 bits, one, then two', '8 bits, two ranks', [6, 10])).toBeLessThan(2e-4);
});

it('float8 with codes between ranks, and adapters over sharded NF4, train as one process does', () => {
  expect(apart('float8 sharded', 'float8 one')).toBeLessThan(1e-6);
  // two layers of seven linears, forward and backward, recorded once; embedding and head as they are
  expect(ran.told[0]!['float8 sent']).toEqual({ float8_e4m3fn: 28, bfloat16: 3 });
  expect(apart('nf4 sharded', 'nf4 one')).toBeLessThan(1e-5);
  expect(ran.told[0]!['nf4 sharded names']).toHaveLength(2);
});
