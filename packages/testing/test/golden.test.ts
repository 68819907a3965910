import { describe, expect, it } from 'vitest';
import type { GoldenTensor, Outcome } from '../src/index.ts';
import { deviations, expectGolden, goldenCase, goldenCases, goldenOutputs, sqnr } from '../src/index.ts';

/** The golden's own outputs, as a caller would give them; `change` edits the copy of one role. */
async function own(name: string, role = '', change: (t: GoldenTensor) => Partial<Outcome> = () => ({})) {
  const out = await goldenOutputs(goldenCase(name));
  return Object.fromEntries(
    Object.entries(out).map(([r, t]) => [
      r,
      { ...t, bits: t.bits.slice(), ...(r === role ? change(t) : {}) } as Outcome,
    ]),
  );
}

const edit = (f: (bits: GoldenTensor['bits']) => void) => (t: GoldenTensor) => {
  const bits = t.bits.slice() as GoldenTensor['bits'];
  f(bits);
  return { bits };
};

describe('goldens', () => {
  it('agree with themselves, all of them: files, decoders and the references of each SQNR', async () => {
    for (const c of goldenCases()) await expectGolden(c, await own(c.name));
  }, 120_000);

  it('are found by prefix, pattern and predicate, and none is an error', () => {
    expect(goldenCases().length).toBe(540);
    expect(goldenCases('formats/cast/').length).toBe(12);
    expect(goldenCases(/int4wo_g32/).length).toBeGreaterThan(1);
    expect(goldenCases((c) => c.family === 'serialization').length).toBe(5);
    expect(() => goldenCases('formats/casts')).toThrow('no golden case matches formats/casts');
  });
});

describe('expectGolden', () => {
  const exact = 'linear/int8wo_row/f32/M1/bias';

  it('exact: one code off fails with case, role, index, got and want', async () => {
    const off = await own(
      exact,
      'qdata',
      edit((bits) => (bits[130] = 99)),
    );
    const want = (await goldenOutputs(goldenCase(exact))).qdata?.bits[130];
    await expect(expectGolden(goldenCase(exact), off)).rejects.toThrow(
      `${exact}, qdata (exact): 1 of 4096 differ; first [1, 2]: got 99, want ${want}`,
    );
  });

  it('exact: the sign of zero counts, the payload of NaN does not', async () => {
    const c = goldenCase('formats/cast/float8_decode');
    const nan = await own(
      c.name,
      'e4m3fn',
      edit((bits) => (bits[127] = -NaN)),
    );
    await expectGolden(c, nan);
    const zero = await own(
      c.name,
      'e4m3fn',
      edit((bits) => (bits[0] = -0)),
    );
    await expect(expectGolden(c, zero)).rejects.toThrow(/e4m3fn \(exact\): 1 of 256 differ; first \[0\]/);
    const half = goldenCase('formats/cast/bf16_f16');
    await expectGolden(
      half,
      await own(half.name, 'bf16', (t) => edit((b) => (b[t.values().findIndex(Number.isNaN)] = 0x7fc1))(t)),
    );
  });

  it('close: scales with the rms of the row, and no further', async () => {
    const c = goldenCase(exact);
    const rule = c.outputs.y as { rtol: number };
    const scaled = (k: number) => (t: GoldenTensor) => {
      const y = t.values();
      const size = Math.hypot(...y) / Math.sqrt(y.length);
      return edit((bits) => (bits[3] = (y[3] as number) + k * rule.rtol * Math.max(size, Math.abs(y[3] as number))))(t);
    };
    await expectGolden(c, await own(exact, 'y', scaled(0.9)));
    await expect(expectGolden(c, await own(exact, 'y', scaled(1.2)))).rejects.toThrow(
      /y \(close\): 1 of 32 beyond rtol .*worst \[0, 3\]: got .*, want .*, 1\.2\d? times/,
    );
  });

  it('mostly: by the share of codes', async () => {
    const name = 'primitives/hqq/4bit/g64/tinygemm/f32';
    const allowed = Math.floor((goldenCase(name).outputs.q?.max_mismatch as number) * 1024);
    const off = (n: number) =>
      own(
        name,
        'q',
        edit((bits) => bits.set(bits.slice(0, n).map((b) => b ^ 1))),
      );
    await expectGolden(goldenCase(name), await off(allowed));
    await expect(expectGolden(goldenCase(name), await off(allowed + 1))).rejects.toThrow(
      /q \(mostly\): 3 of 1024 differ, share/,
    );
  });

  it('SQNR: 0.1 dB below the golden is the limit, where the codes are not compared too', async () => {
    const c = goldenCase('primitives/hqq/4bit/g64/tinygemm/f32');
    const x = (await import('../src/index.ts').then((m) => m.goldenInputs(c))).x as GoldenTensor;
    const worse = (factor: number) => (t: GoldenTensor) =>
      edit((bits) => x.values().forEach((v, i) => (bits[i] = v + (bits[i]! - v) * factor)))(t);
    const dB = (factor: number) => c.sqnr_db!.dequant! - 20 * Math.log10(factor);
    expect(sqnr(x.values(), (await own(c.name, 'dequant', worse(1.5))).dequant!.bits as Float32Array)).toBeCloseTo(
      dB(1.5),
      2,
    );
    await expectGolden(c, await own(c.name, 'dequant', worse(1.01)));
    await expect(expectGolden(c, await own(c.name, 'dequant', worse(1.02)))).rejects.toThrow(
      /dequant \(report\): SQNR is/,
    );
  });

  it('GPTQ: by the objective, 1% above', async () => {
    const name = 'algorithms/gptq/int8_row';
    await expectGolden(goldenCase(name), {
      ...(await own(
        name,
        'objective',
        edit((b) => (b[0] = b[0]! * 1.009)),
      )),
      qdata: (
        await own(
          name,
          'qdata',
          edit((b) => b.fill(1)),
        )
      ).qdata as Outcome,
    });
    const above = await own(
      name,
      'objective',
      edit((b) => (b[0] = b[0]! * 1.011)),
    );
    await expect(expectGolden(goldenCase(name), above)).rejects.toThrow(/objective .*at most 1% above/);
  });

  it('wants every role, with its dtype and shape, unless told which', async () => {
    const c = goldenCase(exact);
    const { y, ...rest } = await own(exact);
    await expect(expectGolden(c, rest)).rejects.toThrow(`${exact}, y (close): not given`);
    await expectGolden(c, { y: y as Outcome }, { only: ['y'] });
    await expect(expectGolden(c, { z: y as Outcome })).rejects.toThrow(/no output 'z'/);
    await expect(expectGolden(c, await own(exact, 'y', () => ({ dtype: 'bfloat16' })))).rejects.toThrow(
      /got dtype bfloat16/,
    );
    await expect(expectGolden(c, await own(exact, 'y', () => ({ shape: [32, 1] })))).rejects.toThrow(
      /got shape \[32, 1\]/,
    );
  });

  it('departs only where DEVIATIONS.md has the row', async () => {
    const wrong = await own(
      exact,
      'qdata',
      edit((bits) => bits.fill(0)),
    );
    await expect(expectGolden(goldenCase(exact), wrong, { except: { qdata: 'D0' } })).rejects.toThrow(/no row D0/);
    const table = '| id | case | role |\n| --- | --- | --- |\n| D7 | `linear/x*` | q | a | b | c |\n';
    expect(deviations(table)).toEqual([['D7', 'linear/x*', 'q']]);
  });

  it('takes a tensor: bits() may be a promise', async () => {
    const c = goldenCase(exact);
    const outputs = await own(exact);
    const asTensors = Object.entries(outputs).map(([r, t]) => [
      r,
      { ...t, dtype: { name: t.dtype as string }, bits: async () => t.bits as Float32Array },
    ]);
    await expectGolden(c, Object.fromEntries(asTensors));
  });
});
