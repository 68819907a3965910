// Goldens of number formats: casts and decoded codes of every small float.
import {
  cast,
  type Dense,
  dtypeByName,
  encodeArray,
  f32ToFloatxUnpacked,
  float32,
  floatxUnpackedToF32,
  floatxValues,
  fromBits,
  type Runtime,
  type Tensor,
} from '@ao/core';
import { expectGolden, type GoldenCase, goldenCases, goldenInputs, goldenOutputs } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { devices } from './devices.ts';

async function inputs(rt: Runtime, c: GoldenCase): Promise<Record<string, Dense>> {
  const found = Object.entries(await goldenInputs(c));
  return Object.fromEntries(found.map(([role, t]) => [role, fromBits(rt, t.bits, t.shape, dtypeByName(t.dtype))]));
}

describe('casts', () => {
  it.each(goldenCases(/^formats\/cast\/(float8|bf16)/).map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const { x, codes } = await goldenInputs(c);
    for (const role of Object.keys(c.outputs)) {
      const dtype = dtypeByName(c.op === 'cast_half' ? { bf16: 'bfloat16', f16: 'float16' }[role]! : `float8_${role}`);
      const want = (await goldenOutputs(c))[role]!;
      if (codes !== undefined) {
        const values = Float32Array.from(codes.bits as Uint8Array, (code) => dtype.decode(code));
        expect([...values], role).toEqual([...want.values()]);
        continue;
      }
      const got = encodeArray(dtype, x!.values(), { saturate: c.params.clamp === true });
      const differ = [...got].flatMap((code, i) =>
        code === want.bits[i] || (Number.isNaN(dtype.decode(code)) && Number.isNaN(dtype.decode(want.bits[i]!)))
          ? []
          : [[x!.values()[i], code, want.bits[i]]],
      );
      expect(differ, role).toEqual([]);
    }
  });
});

describe.each(devices)('eXmY on $device', ({ rt }) => {
  it.each(goldenCases((c) => c.op === 'exmy').map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const { x, codes } = (await inputs(rt, c)) as { x: Dense; codes: Dense };
    const { ebits, mbits } = c.params;
    await expectGolden(c, {
      codes_out: f32ToFloatxUnpacked(x, ebits, mbits),
      decoded: floatxUnpackedToF32(codes, ebits, mbits),
    });
    expect([...floatxValues(ebits, mbits)]).toEqual([...(await goldenOutputs(c)).decoded!.values()]);
  });
});

void cast;
void float32;
export type { Tensor };
