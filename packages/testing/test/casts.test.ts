import { readFileSync } from 'node:fs';
import type { DType } from '@ao/core';
import {
  bfloat16,
  bytesSink,
  decodeArray,
  encodeArray,
  encodeSaturated,
  float8_e4m3fn,
  float8_e5m2,
  float16,
  float32,
  openSafetensors,
  writeSafetensors,
} from '@ao/core';
import { describe, expect, it } from 'vitest';
import { expectGolden, fileSource, goldenCase, goldenCases, goldenInputs, goldenPath } from '../src/index.ts';

async function cast(name: string, roles: Record<string, DType>, saturate = false): Promise<void> {
  const c = goldenCase(name);
  const x = (await goldenInputs(c)).x?.bits as Float32Array;
  const outcome = (encode: (d: DType) => ArrayLike<number>) =>
    Object.fromEntries(
      Object.entries(roles).map(([role, dtype]) => [role, { dtype, shape: [x.length], bits: encode(dtype) }]),
    );
  const only = { only: Object.keys(roles) };
  await expectGolden(
    c,
    outcome((d) => encodeArray(d, x, { saturate })),
    only,
  );
  await expectGolden(
    c,
    outcome((d) => Array.from(x, (v) => (saturate ? encodeSaturated(d, v) : d.encode(v)))),
    only,
  );
}

describe("casts have torch's bits", () => {
  const float8 = { e4m3fn: float8_e4m3fn, e5m2: float8_e5m2 };
  it('float32 to float8', () => cast('formats/cast/float8', float8));
  it('float32 to float8, clamped first', () => cast('formats/cast/float8_clamped_first', float8, true));
  it('float32 to bfloat16 and float16', () => cast('formats/cast/bf16_f16', { bf16: bfloat16, f16: float16 }));

  it('float8 to float32, each code', async () => {
    const c = goldenCase('formats/cast/float8_decode');
    const codes = (await goldenInputs(c)).codes?.bits as Uint8Array;
    const decoded = (d: DType) => ({ dtype: float32, shape: [256], bits: decodeArray(d, codes) });
    await expectGolden(c, { e4m3fn: decoded(float8_e4m3fn), e5m2: decoded(float8_e5m2) }, { only: ['e4m3fn', 'e5m2'] });
  });
});

describe("safetensors written here have the reference writer's bytes", () => {
  const files = [...new Set(goldenCases().map((c) => c.file))];
  const checkpoints = goldenCases('serialization/').map((c) => c.note as string);
  it.each([...files, ...checkpoints])('%s', async (name) => {
    const file = await openSafetensors(fileSource(goldenPath(name)));
    const items = file.names.map((n) => file.entry(n)).sort((a, b) => (a.name.length % 7) - (b.name.length % 7));
    const sink = bytesSink();
    const metadata = Object.keys(file.metadata).length > 0 ? { metadata: file.metadata } : {};
    await writeSafetensors(sink, items, ({ name: tensor }) => file.read(tensor), metadata);
    expect(Buffer.compare(sink.bytes(), readFileSync(goldenPath(name)))).toBe(0);
  });
});
