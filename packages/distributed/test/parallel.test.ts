// Tensor parallel decoders of two ranks against whole ones.
import { beforeAll, expect, it } from 'vitest';
import { launched, type Ran } from './launched.ts';

interface OfKind {
  readonly cut: number;
  readonly decibel: number;
  readonly tokens: readonly [one: number[], many: number[]];
  readonly bits: number[];
}
type Told = Readonly<Record<string, unknown>>;

let ran: Ran<Told>;
beforeAll(async () => {
  ran = await launched<Told>('parallel', 2);
});

/** Activations that are quantized have a scale of their own on each rank, so these two differ by as much as the scheme does from floats. */
it.each([
  ['float32', 110],
  ['int8', 110],
  ['int4', 110],
  ['float8', 110],
  ['int8 dynamic', 30],
  ['float8 dynamic', 20],
])('%s weights cut by columns and rows give the logits and tokens of the whole model', (name, least) => {
  expect(ran.code, ran.text).toBe(0);
  const [zero, one] = ran.told.map((t) => t[name] as OfKind);
  expect(zero!.cut).toBe(15);
  expect(zero!.decibel).toBeGreaterThan(least);
  expect(one!.bits).toEqual(zero!.bits);
  expect(zero!.tokens[1]).toHaveLength(8);
  if (least > 100) expect(zero!.tokens[1]).toEqual(zero!.tokens[0]);
  expect(one!.tokens[1]).toEqual(zero!.tokens[1]);
});

it('what cannot be cut is an error that names the module', () => {
  expect(ran.told[0]!['nf4 rowwise']).toMatch(
    /parallelize: its weight cannot be cut over 2 ranks: .*NF4 is a flat layout.*self_attn.o_proj/,
  );
  expect(ran.told[0]!['groups cut']).toMatch(/cuts through blocks of 64.*layers.0.mlp.down_proj/);
  expect(ran.told[0]!['no module']).toMatch(/no module has this name \(module model.layers.\*.attn\)/);
});

it('trains as the whole model does', () => {
  const [a, b] = ['trained parallel', 'trained one'].map((name) => ran.told[0]![name] as number[]);
  a!.forEach((v, i) => expect(Math.abs(v / b![i]! - 1), `step ${i}`).toBeLessThan(1e-5));
});
