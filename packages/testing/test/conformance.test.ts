import type { Dense, DType, Tensor } from '@ao/core';
import { bfloat16, createRuntime, defineOp, encodeArray, float32, int8, kernel, store, valuesOf } from '@ao/core';
import { opSamples, samples } from '@ao/core/samples';
import { describe, expect, it } from 'vitest';
import { compareSnapshots, opConformance, runOpConformance } from '../src/index.ts';

const rt = await createRuntime();

describe("core's ops on the reference backend", () => {
  for (const test of opConformance(rt, 'reference', opSamples())) it(test.name, test.run);
});

describe('the suite', () => {
  let calls = 0;
  const same = (x: Tensor) => ({ shape: x.shape, dtype: x.dtype });
  const op = (id: string) => defineOp<[x: Tensor]>(`testing.${id}`, { meta: same });
  const nondeterministic = op('nondeterministic');
  const blind = op('blind');
  const reading = op('reading');
  const missing = op('missing');
  const tidy = op('tidy');
  const spilling = defineOp<[x: Tensor]>('testing.spilling_', { meta: same, mutates: 0 });
  const plus = (out: Dense, x: Dense, n: number) =>
    store(
      out,
      valuesOf(x).map((v) => v + n),
    );
  const entries = [
    kernel(nondeterministic, 'reference', (out, x) => plus(out, x, calls++)),
    kernel(tidy, 'reference', (out, x) => plus(out, x, 1)),
    kernel(
      blind,
      'reference',
      (out, x) => {
        const { storage, offset, shape, dtype } = x;
        const flat = new (x.constructor as typeof Dense)(x.rt, storage, shape, dtype, undefined, offset);
        flat.kept = true;
        plus(out, flat, 0);
      },
      { strided: true },
    ),
    kernel(reading, 'reference', (out, x) => store(out, x.dataSync())),
    kernel(
      spilling,
      'reference',
      (x) => {
        const bytes = (x.storage.buffer as unknown as { bytes: ArrayBuffer }).bytes;
        new Float32Array(bytes).fill(3);
      },
      { strided: true },
    ),
  ];
  const one = [{ name: 'one', args: (make: (shape: readonly number[]) => Tensor) => [make([2, 3])] }];

  async function failures(target: Parameters<typeof samples>[0]): Promise<Record<string, string>> {
    const own = await createRuntime({ use: [{ name: 'testing', entries }] });
    const { failed } = await runOpConformance(own, 'reference', [samples(target, one)]);
    return Object.fromEntries(failed.map((f) => [f.test.split('/').at(-1), f.message]));
  }

  it('passes a kernel that conforms', async () => {
    expect(await failures(tidy)).toEqual({});
  });

  it('finds a kernel whose result changes', async () => {
    const found = await failures(nondeterministic);
    expect(Object.keys(found)).toEqual(['eager', 'strided', 'replay']);
    expect(found.eager).toMatch(/^result 0: 6 of 6 differ; at \[0, 0\]: got /);
  });

  it('finds a kernel that ignores strides, and one that writes beside its view', async () => {
    expect(Object.keys(await failures(blind))).toEqual(['strided']);
    expect((await failures(spilling)).strided).toMatch(/element 1 of its storage lies outside the view/);
  });

  it('finds a missing kernel', async () => {
    const found = await failures(missing);
    expect(Object.keys(found)).toEqual(['eager', 'strided', 'replay']);
    expect(found.eager).toMatch(/testing.missing cannot run on reference/);
  });

  it('wants a reason for each skip, and a test that it meets', async () => {
    const list = [samples(tidy, one)];
    const report = await runOpConformance(rt, 'reference', list, {
      skip: [{ test: 'testing.tidy', reason: 'not wired' }],
    });
    expect(report.skipped.map((s) => s.test)).toEqual(
      ['eager', 'strided', 'replay'].map((v) => `testing.tidy/one/${v}`),
    );
    expect(() => opConformance(rt, 'reference', list, { skip: [{ test: 'testing.tidy', reason: '' }] })).toThrow(
      /needs a reason/,
    );
    expect(() => opConformance(rt, 'reference', list, { skip: [{ test: 'tid', reason: 'x' }] })).toThrow(
      /matches no test/,
    );
    expect(() => opConformance(rt, 'reference', [...list, ...list])).toThrow(/two samples give the test/);
  });

  it('leaves nothing behind', async () => {
    const own = await createRuntime({ use: [{ name: 'testing', entries }] });
    const before = own.backend('reference').memory().live;
    await runOpConformance(own, 'reference', [samples(tidy, one), ...opSamples()]);
    expect(own.backend('reference').memory().live).toBe(before);
  });
});

describe('compareSnapshots', () => {
  const of = (values: number[], dtype: DType = float32) => ({
    shape: [values.length],
    dtype,
    bits: encodeArray(dtype, values),
  });
  const why = 'test';

  it('without a tolerance wants the bits, NaNs equal', () => {
    expect(compareSnapshots(of([NaN, 1]), of([NaN, 1]))).toBeUndefined();
    expect(compareSnapshots(of([-0]), of([0]))).toBe('1 of 1 differ; at [0]: got -0, want 0');
    expect(compareSnapshots(of([1]), of([1, 2]))).toBe('shape [1], want [2]');
    expect(compareSnapshots(of([1]), of([1], bfloat16))).toMatch(/dtype float32, want bfloat16/);
  });

  it('counts ulps in float32, and lets the last rounding of a coarse dtype tip once', () => {
    const up = (n: number) => of([1 + n * 2 ** -23]);
    expect(compareSnapshots(up(4), of([1]), { ulps: 4, why })).toBeUndefined();
    expect(compareSnapshots(up(5), of([1]), { ulps: 4, why })).toMatch(/tolerance there .*\(test\)/);
    const half = (n: number) => of([1 + n * 2 ** -7], bfloat16);
    expect(compareSnapshots(half(1), of([1], bfloat16), { ulps: 4, why })).toBeUndefined();
    expect(compareSnapshots(half(2), of([1], bfloat16), { ulps: 4, why })).toMatch(/1 of 1 differ/);
    expect(compareSnapshots(of([1], int8), of([2], int8), { ulps: 4, why })).toMatch(/got 1, want 2/);
  });

  it('scales rtol with the rms of the row, and lets no NaN through', () => {
    expect(compareSnapshots(of([3, 1e-7]), of([3, 0]), { rtol: 1e-6, why })).toBeUndefined();
    expect(compareSnapshots(of([NaN, 1]), of([1, 1]), { rtol: 1e9, ulps: 1e9, why })).toMatch(/got NaN, want 1/);
    expect(compareSnapshots(of([1, 1]), of([Infinity, 1]), { rtol: 1, why })).toMatch(/got 1, want Infinity/);
  });
});
