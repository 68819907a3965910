import { expect, it } from 'vitest';
import { launched } from './launched.ts';

type Told = Readonly<Record<string, unknown>> & { readonly rank: number };

const value = (i: number, rank: number): number => Math.fround(Math.fround(Math.sin(i * 0.7 + rank) * 3));
const reduced = (n: number, size: number, f: (a: number, b: number) => number): number[] =>
  Array.from({ length: n }, (_, i) =>
    Array.from({ length: size }, (_r, rank) => value(i, rank)).reduce((a, b) => Math.fround(f(a, b))),
  );
const float32 = (text: unknown): number[] => [
  ...new Float32Array(Uint8Array.from(Buffer.from(String(text), 'base64')).buffer),
];

it('three processes agree on every collective, bit for bit, eager and replayed', async () => {
  const { code, told, text } = await launched<Told>('collectives', 3);
  expect(code, text).toBe(0);
  const size = 3;
  const [first] = told;
  const sum = (a: number, b: number): number => a + b;
  for (const n of [1, 7, 10_001]) expect(float32(first![`sum float32 ${n}`])).toEqual(reduced(n, size, sum));
  expect(first!['avg']).toEqual(reduced(5, size, sum).map((v) => Math.fround(v / size)));
  expect(first!['max']).toEqual(reduced(5, size, Math.max));
  expect(first!['min']).toEqual(reduced(5, size, Math.min));
  expect(first!['gather']).toEqual([0, 1, 10, 11, 20, 21]);
  expect(first!['gather bytes']).toEqual([0, 255, 7, 1, 254, 7, 2, 253, 7]);
  expect(first!['broadcast']).toEqual([0, 1, 2, 3].map((i) => value(i, 2)));
  expect(told.flatMap((t) => t['scatter'] as number[])).toEqual(reduced(6, size, sum));
  expect(first!['texts']).toEqual(['hello 0', 'hello 1', 'hello 2']);
  for (const t of told) {
    expect(t['replayed']).toEqual([true, true, true, true]);
    for (const [name, v] of Object.entries(first!))
      if (!['rank', 'scatter'].includes(name)) expect(t[name], name).toEqual(v);
  }
});
