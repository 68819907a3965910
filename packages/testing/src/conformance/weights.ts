// Weights in every format on a device, packed and plain, against the reference backend: linear, its gradient of x, embedding,
// unpacking bit for bit. For test files: `weightConformance(rt, 'cpu')`.
import {
  bfloat16,
  cast,
  createRuntime,
  type Dense,
  embeddingWeight,
  float32,
  fromBits,
  groupsOf,
  int8,
  int32,
  linear,
  linearWeight,
  type PackedWeight,
  type Runtime,
  type Tensor,
  tensor,
  uint8,
  type WeightFormat,
  type WeightParts,
} from '@ao/core';
import { linearGradInput, linearGradInputWeight } from '@ao/core/autograd';
import { describe, expect, it } from 'vitest';

const N = 37;
/** The same values on every run. */
const noise = (n: number, seed: number): number[] =>
  Array.from({ length: n }, (_, i) => Math.fround(Math.sin(i * 12.9898 + seed * 78.233) * 0.5));
const whole = (n: number, low: number, count: number): number[] =>
  noise(n, count).map((v) => low + (Math.floor((v + 0.5) * 9973) % count));

const format = (f: Partial<WeightFormat> & Pick<WeightFormat, 'code' | 'K' | 'groupSize'>): WeightFormat => ({
  N,
  zeroDomain: 'none',
  activation: 'exact',
  ...f,
});
const table = (bits: number): WeightFormat =>
  format({ code: 'table', table: Float32Array.from(noise(2 ** bits, bits)), K: 100, groupSize: 32 });

const FORMATS: readonly (readonly [string, WeightFormat])[] = [
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((bits) => [`table of ${bits} bits`, table(bits)] as const),
  ...[2, 3, 5, 6, 7].map(
    (bits) => [`int8 of ${bits} bits`, format({ code: 'int8', bits, K: 90, groupSize: 16 })] as const,
  ),
  ['table, integer zero points', { ...table(4), zeroDomain: 'int' }],
  ['table, float zero points', { ...table(3), zeroDomain: 'float', groupSize: 40 }],
  ['one short group', { ...table(4), groupSize: 128 }],
  ['int4, a short last group', format({ code: 'int4', K: 45, groupSize: 32, zeroDomain: 'float' })],
  ['int8, a short last group', format({ code: 'int8', K: 45, groupSize: 32, zeroDomain: 'int' })],
  ...(['int8-group', 'int8-token', 'int8-token-asym'] as const).flatMap((activation) => [
    [`int8 of 3 bits, ${activation}`, format({ code: 'int8', bits: 3, K: 100, groupSize: 32, activation })] as const,
    [`int8 of 6 bits, ${activation}`, format({ code: 'int8', bits: 6, K: 100, groupSize: 32, activation })] as const,
    [`int4, ${activation}`, format({ code: 'int4', K: 100, groupSize: 64, zeroDomain: 'float', activation })] as const,
  ]),
];

function partsOf(f: WeightFormat, runtime: Runtime): WeightParts {
  const bits = f.table === undefined ? (f.bits ?? 8) : Math.log2(f.table.length);
  const groups = groupsOf(f) * N;
  const codes =
    f.code === 'table'
      ? tensor(runtime, whole(N * f.K, 0, 2 ** bits), { shape: [N, f.K], dtype: uint8 })
      : f.code === 'int4'
        ? // an odd number of columns leaves the last upper nibble empty
          fromBits(
            runtime,
            Int8Array.from(whole(N * Math.ceil(f.K / 2), 0, 256), (v, i) =>
              f.K % 2 === 1 && (i + 1) % Math.ceil(f.K / 2) === 0 ? v & 15 : v,
            ),
            [N, Math.ceil(f.K / 2)],
            int8,
          )
        : tensor(runtime, whole(N * f.K, -(2 ** (bits - 1)), 2 ** bits), { shape: [N, f.K], dtype: int8 });
  const scale = cast(tensor(runtime, noise(groups, 3), { shape: [N, groupsOf(f)] }), bfloat16);
  const zero =
    f.zeroDomain === 'none'
      ? undefined
      : f.zeroDomain === 'int'
        ? tensor(runtime, whole(groups, -3, 7), { shape: [N, groupsOf(f)], dtype: int8 })
        : tensor(runtime, noise(groups, 4), { shape: [N, groupsOf(f)] });
  return { format: f, codes: codes as Dense, scale: scale as Dense, ...(zero && { zero: zero as Dense }) };
}

const outputs = (parts: WeightParts, x: Dense, rows: Dense) => {
  const { format: f, codes, scale, zero } = parts;
  return {
    y: linearWeight(x, codes, scale, zero, undefined, f),
    w: embeddingWeight(codes, scale, zero, rows, f, float32),
  };
};

/** Declares the tests of a device of `rt`. */
export async function weightConformance(rt: Runtime, device: string): Promise<void> {
  const reference = await createRuntime();
  describe.each(FORMATS)('%s', (_, f) => {
    it.each([1, 3, 7])('%d rows: packed and plain agree with the reference', async (m) => {
      const xs = noise(m * f.K, 9);
      const rows = [0, N - 1, 5];
      const on = (runtime: Runtime) =>
        [tensor(runtime, xs, { shape: [m, f.K] }) as Dense, tensor(runtime, rows, { dtype: int32 }) as Dense] as const;
      const right = outputs(partsOf(f, reference), ...on(reference));
      const parts = partsOf(f, rt);
      const plain = outputs(parts, ...on(rt));
      const want = await right.y.data();
      const got = await plain.y.data();
      const most = Math.max(...Array.from(want, Math.abs));
      for (let i = 0; i < want.length; i++) expect(Math.abs(got[i]! - want[i]!)).toBeLessThan(1e-5 * most);
      expect(await plain.w.data()).toEqual(await right.w.data());

      const packed = rt.packer(device)?.pack(parts, float32) as PackedWeight;
      expect(packed).not.toBeNull();
      const weight = tensor(rt, new Float32Array(N * f.K), { shape: [N, f.K] });
      weight.packed = packed;
      expect(await linear(on(rt)[0], weight).data()).toEqual(got);
      const gs = noise(m * N, 7);
      const g = (runtime: Runtime) => tensor(runtime, gs, { shape: [m, N] });
      const gradient = await linearGradInput(g(rt), weight).data();
      const gradientOf = (p: WeightParts, runtime: Runtime) =>
        linearGradInputWeight(g(runtime), p.codes, p.scale, p.zero, f).data();
      expect(await gradientOf(parts, rt)).toEqual(gradient);
      const rightGradient = await gradientOf(partsOf(f, reference), reference);
      const mostGradient = Math.max(...Array.from(rightGradient, Math.abs));
      for (let i = 0; i < gradient.length; i++) {
        expect(Math.abs(gradient[i]! - rightGradient[i]!)).toBeLessThan(1e-5 * mostGradient);
      }
      const back = packed.unpack();
      expect(await back.codes.bits()).toEqual(await parts.codes.bits());
      expect(await back.scale?.bits()).toEqual(await parts.scale?.bits());
      expect(await back.zero?.bits()).toEqual(await parts.zero?.bits());
    });
  });

  it.each([2, 4, 8])('a captured call reads a plain weight by its table of %d bits, at each replay', async (bits) => {
    const { format: f, codes, scale, zero } = partsOf(table(bits), rt);
    const x = (seed: number) => tensor(rt, noise(3 * f.K, seed), { shape: [3, f.K] });
    const g = (seed: number) => tensor(rt, noise(3 * N, seed), { shape: [3, N] });
    const both = (a: Tensor, b: Tensor) => [
      linearWeight(a, codes, scale, zero, undefined, f),
      linearGradInputWeight(b, codes, scale, zero, f),
    ];
    const plan = rt.capture((a, b) => both(a!, b!), x(1), g(2));
    for (const seed of [3, 4]) {
      const want = await Promise.all(both(x(seed), g(seed)).map((t) => t.data()));
      expect(await Promise.all(plan.replay(x(seed), g(seed)).map((t) => t.data()))).toEqual(want);
    }
    plan.dispose();
  });

  it('packs codes of few bits in that many', () => {
    const bytes = (f: WeightFormat) => rt.packer(device)!.pack(partsOf({ ...f, K: 1024 }, rt), float32)!.data.numel;
    for (const bits of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const rows = 48; // whole panels of 16
      const scales = (rows * 1024 * 2) / 32;
      expect(bytes(table(bits))).toBeLessThanOrEqual((rows * 1024 * bits) / 8 + scales + 128 + 1024);
    }
  });

  it('names the row whose codes have more bits than said', async () => {
    const f = { ...table(4), table: Float32Array.of(0, 1) };
    const parts = { ...partsOf(table(4), rt), format: f };
    await expect(rt.packer(device)!.pack(parts, float32)!.data.data()).rejects.toThrow(/row \d+ .* more than 1 bits/);
  });
}
