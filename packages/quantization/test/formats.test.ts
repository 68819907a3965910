// Every golden of number formats: casts and decoded codes of small floats, MX, NVFP4 and NF4.
import {
  bfloat16,
  type Dense,
  type DType,
  dtypeByName,
  encodeArray,
  f32ToFloatxUnpacked,
  float8_e8m0fnu,
  float32,
  floatxUnpackedToF32,
  floatxValues,
  fromBits,
  reshape,
  type Tensor,
} from '@ao/core';
import { expectGolden, goldenCases, goldenInputs, goldenOutputs } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import type { MXDtype } from '../src/config/float-fields.ts';
import { fromBlocked, toBlocked } from '../src/formats/blocked-scales.ts';
import { fromMx, toMx } from '../src/formats/mx.ts';
import { nf4Dequantize, nf4Quantize } from '../src/formats/nf4.ts';
import { nvfp4Dequantize, nvfp4Quantize, perTensorScale } from '../src/formats/nvfp4.ts';
import { devices } from './devices.ts';
import { inputs } from './golden-linear.ts';

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

const ELEMENT: Readonly<Record<string, MXDtype>> = {
  e4m3: 'float8_e4m3fn',
  e5m2: 'float8_e5m2',
  e2m3: 'fp6_e2m3',
  e3m2: 'fp6_e3m2',
  fp4: 'float4_e2m1fn_x2',
};

describe.each(devices)('blocks on $device', ({ rt }) => {
  it.each(goldenCases((c) => c.op === 'mx').map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const { x } = (await inputs(rt, c)) as { x: Dense };
    const elem = ELEMENT[c.params.elem]!;
    const parts = toMx(x, elem, 32, c.params.mode);
    const swizzled = c.params.swizzled === true;
    const values = (dtype: DType): Tensor => fromMx(parts, elem, 32, x.shape.at(-1)!, dtype);
    await expectGolden(c, {
      qdata: parts.qdata,
      scale: swizzled ? toBlocked(parts.scale) : parts.scale,
      ...(!swizzled && { dequant: values(float32), dequant_bf16: values(bfloat16) }),
    });
  });

  it.each(goldenCases((c) => c.op === 'nvfp4').map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const { x } = (await inputs(rt, c)) as { x: Dense };
    const t = c.params.two_level ? perTensorScale(x) : undefined;
    const { qdata, scale } = nvfp4Quantize(x, 16, t);
    await expectGolden(c, {
      qdata,
      scale: c.params.swizzled === true ? toBlocked(scale) : scale,
      ...(t !== undefined && { per_tensor_scale: t }),
      dequant: nvfp4Dequantize(qdata, scale, t, 16, x.shape.at(-1)!, float32),
    });
  });

  it.each(goldenCases((c) => c.op === 'nf4').map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const { x } = (await inputs(rt, c)) as { x: Dense };
    const { block_size: blockSize, scaler_block_size: scalerBlockSize } = c.params;
    const parts = nf4Quantize(x, blockSize, scalerBlockSize);
    const { nf4, ...stored } = parts;
    await expectGolden(c, {
      ...stored,
      dequant: reshape(nf4Dequantize(parts, x.numel, blockSize, scalerBlockSize), x.shape),
    });
    expect(nf4.shape).toEqual([16]);
  });

  it('swizzled scales come back', async () => {
    const scale = fromBits(
      rt,
      Uint8Array.from({ length: 130 * 5 }, (_, i) => i % 251),
      [130, 5],
      float8_e8m0fnu,
    );
    const back = fromBlocked(toBlocked(scale), 130, 5);
    expect([...(await back.bits())]).toEqual([...(await scale.bits())]);
  });
});
