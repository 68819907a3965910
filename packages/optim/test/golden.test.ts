// torchao's numbers: maps and codes, ten steps of every optimizer, rounding at random; on the reference backend and on the cpu.
import { type Dense, dtypeByName, fromBits, isWrapped, keep, reshape, scope, slice, type Tensor } from '@ao/core';
import { expectBits, expectGolden, type GoldenCase, goldenCases, goldenInputs, goldenOutputs } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import * as ours from '../src/index.ts';
import { roundAtRandom } from '../src/reference/round-at-random.ts';
import { nearest } from '../src/state/codes.ts';
import { devices } from './devices.ts';

const classes = {
  ...ours,
  'torch.AdamW': ours.AdamW,
} as unknown as Record<string, new (params: Tensor[], options: ours.LowBitAdamOptions) => ours.AdamBase>;

const STEPS = 10;

/** p and s after each step, stacked, or after the last. */
async function train(c: GoldenCase, { rt, device }: (typeof devices)[number]): Promise<Record<string, Tensor>> {
  const inputs: Record<string, Dense> = {};
  for (const [role, x] of Object.entries(await goldenInputs(c)))
    inputs[role] = fromBits(rt, x.bits, x.shape, dtypeByName(x.dtype), { device });
  const { optimizer: name, every_step: every, lr, weight_decay: weightDecay, ...rest } = c.params;
  expect(Object.keys(rest), c.name).toEqual([]);
  const params = { p: inputs.p!, s: inputs.s! };
  const optimizer = new classes[name]!(Object.values(params), {
    lr,
    ...(weightDecay === undefined ? {} : { weightDecay }),
  });
  const seen: Record<keyof typeof params, unknown[]> = { p: [], s: [] };
  for (let i = 0; i < STEPS; i++) {
    for (const role of ['p', 's'] as const)
      params[role].grad = scope(() => keep(reshape(slice(inputs[`g${role}`]!, 0, i, i + 1), params[role].shape)));
    optimizer.step();
    for (const role of ['p', 's'] as const) seen[role].push(await params[role].bits());
  }
  const out: Record<string, Tensor> = {};
  for (const role of ['p', 's'] as const) {
    const t = params[role];
    out[role] = t;
    if (every) {
      const all = (seen[role] as Float32Array[]).flatMap((x) => [...x]);
      out[role] = fromBits(rt, Float32Array.from(all), [STEPS, ...t.shape], t.dtype, { device });
    }
    for (const key of ['exp_avg', 'exp_avg_sq']) {
      const moment = optimizer.state.get(t)![key]!;
      if (!isWrapped(moment)) out[`${role}_${key}`] = moment;
      else for (const part of ['codes', 'scale']) out[`${role}_${key}_${part}`] = moment.parts[part]!;
    }
  }
  return out;
}

describe.each(devices)('ten steps on $device', (on) => {
  it.each(goldenCases((c) => c.family === 'optim' && c.op === 'adam').map((c) => [c.name, c] as const))(
    '%s',
    async (_, c) => {
      const got = await train(c, on);
      await expectGolden(c, got);
      if (process.env.AO_SHOW === undefined) return;
      const wanted = await goldenOutputs(c);
      for (const [role, t] of Object.entries(got)) {
        if (!role.endsWith('codes')) continue;
        const bits = await t.bits();
        const other = wanted[role]!.bits.filter((x: number, i: number) => x !== bits[i]).length;
        console.log(`${on.device} ${c.name} ${role}: ${other} of ${bits.length} codes differ`);
      }
    },
  );
});

describe('maps and codes', () => {
  it.each([8, 4] as const)('of %i bits are torchao’s', async (bits) => {
    const c = goldenCases(`optim/qmap/${bits}bit`)[0]!;
    const x = (await goldenInputs(c)).x!.values();
    const wanted = await goldenOutputs(c);
    for (const sign of ['signed', 'unsigned']) {
      const map = ours.qmapOf(bits, sign === 'signed');
      const codes = Uint8Array.from(x, (v) => nearest(map, sign === 'signed' ? v : Math.abs(v)));
      expectBits(map, wanted[`qmap_${sign}`]!.bits as Float32Array, sign);
      expectBits(codes, wanted[`codes_${sign}`]!.bits as Uint8Array, sign);
    }
    expect(Object.keys(wanted).sort()).toEqual(['codes_signed', 'codes_unsigned', 'qmap_signed', 'qmap_unsigned']);
  });
});

it('rounds to bfloat16 at random as torchao does', async () => {
  const c = goldenCases('optim/bf16_stochastic_rounding')[0]!;
  const x = (await goldenInputs(c)).x!.bits as Float32Array;
  const { toward_zero, away, prob_away } = await goldenOutputs(c);
  const draws = 4096;
  const ups = new Float64Array(x.length);
  for (let call = 0; call < draws; call++) {
    for (const [i, code] of roundAtRandom(x, 7, call).entries()) {
      const up = code === away!.bits[i];
      if (!up) expect(code).toBe(toward_zero!.bits[i]);
      ups[i]! += Number(up && away!.bits[i] !== toward_zero!.bits[i]);
    }
  }
  const chance = prob_away!.values();
  const off = [...ups].map((n, i) => n / draws - chance[i]!);
  expect(Math.max(...off.map(Math.abs))).toBeLessThan(5 * Math.sqrt(0.25 / draws));
  expect(Math.abs(off.reduce((s, e) => s + e, 0) / x.length)).toBeLessThan(5 * Math.sqrt(0.25 / draws / x.length));
});

it('every golden of the family has a test here', () => {
  const names = goldenCases((c) => c.family === 'optim' && c.op !== 'adam').map((c) => c.name);
  expect(names.sort()).toEqual(['optim/bf16_stochastic_rounding', 'optim/qmap/4bit', 'optim/qmap/8bit']);
});
