// Every golden linear layer and embedding, on every device: plain, and packed as prepare(model) leaves it.
import {
  bfloat16,
  cast,
  cat,
  type Dense,
  dequantize,
  embedding,
  int32,
  linear,
  packWeight,
  reshape,
  type Tensor,
  type Wrapped,
  zeros,
} from '@ao/core';
import { expectClose, expectGolden, type GoldenCase, goldenCases, goldenOutputs } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { toBlocked } from '../src/formats/blocked-scales.ts';
import { float8Rows, quantizeActivationFloat8 } from '../src/kinds/float8-activation.ts';
import { float8Kind } from '../src/kinds/float8-tensor.ts';
import { int4Kind } from '../src/kinds/int4-tensor.ts';
import { quantizeActivation } from '../src/kinds/int8-linear.ts';
import type { Int8Attrs } from '../src/kinds/int8-tensor.ts';
import { int8AsymPerToken } from '../src/kinds/intx-tensor.ts';
import { mxKind, quantizeActivationMx } from '../src/kinds/mx-tensor.ts';
import { nvfp4Kind, quantizeActivationNvfp4 } from '../src/kinds/nvfp4-tensor.ts';
import { uintxFromHp } from '../src/schemes/uintx.ts';
import { devices } from './devices.ts';
import { inputs, quantized } from './golden-linear.ts';

const linears = goldenCases((c) => c.op === 'quantized_linear');
const embeddings = goldenCases((c) => c.op === 'quantized_embedding');

/** The parts of the tensor that the golden holds; the tile-packed goldens hold scale and zero side by side. */
function parts(c: GoldenCase, w: Wrapped): Record<string, Tensor> {
  const out: Record<string, Tensor> = {};
  for (const role of Object.keys(c.outputs)) if (w.parts[role] !== undefined) out[role] = w.parts[role];
  if (c.outputs.scale_and_zero !== undefined) {
    const one = (t: Tensor): Tensor => reshape(t, [...t.shape, 1]);
    out.scale_and_zero = cat([one(w.parts.scale as Tensor), one(w.parts.zero_point as Tensor)], 2);
  }
  return out;
}

/** The activation as the golden holds it. */
function activation(c: GoldenCase, w: Wrapped, x: Dense): Record<string, Tensor> {
  if (c.outputs.act_dequant !== undefined) return { act_dequant: int8AsymPerToken(x) };
  if (c.outputs.act_qdata === undefined) return {};
  if (float8Kind.is(w)) {
    const act = quantizeActivationFloat8(x, w.attrs.actQuantKwargs!, w.act_quant_scale);
    return { act_qdata: act.qdata, act_scale: act.scale };
  }
  if (int4Kind.is(w)) {
    const act = quantizeActivationFloat8(x, float8Rows('float8_e4m3fn'));
    return { act_qdata: act.qdata, act_scale: act.scale };
  }
  if (mxKind.is(w)) {
    const act = quantizeActivationMx(x, w.attrs.actQuantKwargs!);
    return { act_qdata: act.qdata, act_scale: act.scale };
  }
  if (nvfp4Kind.is(w)) {
    const act = quantizeActivationNvfp4(x, w);
    return { act_qdata: act.qdata, act_scale: toBlocked(act.scale), act_per_tensor_scale: act.per_tensor_scale! };
  }
  const kwargs = (w.attrs as Int8Attrs).actQuantKwargs;
  if (kwargs === null) throw new Error(`${c.name}: no activation scheme`);
  const act = quantizeActivation(x, kwargs, w.parts.act_quant_scale, w.parts.act_quant_zero_point);
  return { act_qdata: act.qdata, act_scale: act.scale, act_zero_point: act.zeroPoint };
}

/** Goldens that fix, by their bits or by luck within 0.1 dB, where torchao rounds inside the product. */
const roundedOnce = (c: GoldenCase): boolean =>
  /^linear\/(int8dq_asym|int8static_asym|intx7_g32\/bf16\/M1$|float8wo_tensor\/bf16\/M3$)/.test(c.name);

describe('goldens', () => {
  it('are all there', () => expect([linears.length, embeddings.length]).toEqual([184, 3]));
});

describe.each(devices)('linear on $device', ({ rt }) => {
  it.each(linears.map((c) => [c.name, c] as const))('%s', async (_name, c) => {
    const { weight, x, bias } = (await inputs(rt, c)) as { weight: Dense; x: Dense; bias?: Dense };
    const w = quantized(c, weight);
    const outputs = () => ({
      ...parts(c, w),
      ...activation(c, w, x),
      dequant: dequantize(w),
      y: linear(x, w, bias),
    });
    // torch's CPU kernel decodes tinygemm weights by fused multiply-add; the others round the product, as we do.
    const fused = c.name.startsWith('linear/int4_tinygemm_g32/f32');
    const options = fused ? { only: ['scale_and_zero', 'y'] } : {};
    await expectGolden(c, outputs(), options);
    if (!packWeight(rt, w)) return;
    if (!roundedOnce(c)) return expectGolden(c, outputs(), options);
    const { y, ...same } = outputs();
    await expectGolden(c, same, { only: Object.keys(c.outputs).filter((role) => role !== 'y') });
    const want = (await goldenOutputs(c)).y?.values() ?? [];
    const why =
      'packed products keep float32: torchao rounds the activation scale and the sums between the scales to bfloat16';
    expectClose(await y.data(), want, {
      rtol: y.dtype === bfloat16 ? 2 ** -5 : 2 ** -20,
      axis: y.shape.at(-1) as number,
      why,
    });
  });
});

const uintxs = goldenCases((c) => c.op === 'uintx');

describe.each(devices)('unsigned codes on $device', ({ rt }) => {
  it.each(uintxs.map((c) => [c.name, c] as const))('%s', async (_name, c) => {
    const { weight } = (await inputs(rt, c)) as { weight: Dense };
    const w = uintxFromHp(weight, c.params.bit_width, c.params.group_size);
    // torchao squeezes the scale of rows and keeps zero points that are all 0.
    const rows = c.outputs.scale!.shape.length === 1;
    const zero = w.zero_point ?? zeros(rt, [weight.shape[0]!], { dtype: int32, device: w.device });
    await expectGolden(c, { q: w.qdata, scale: rows ? reshape(w.scale, [-1]) : w.scale, zero_point: zero });
  });
});

describe.each(devices)('embedding on $device', ({ rt }) => {
  it.each(embeddings.map((c) => [c.name, c] as const))('%s', async (_name, c) => {
    const { weight, idx } = (await inputs(rt, c)) as { weight: Dense; idx: Dense };
    const w = quantized(c, weight);
    const outputs = () => ({ ...parts(c, w), y: embedding(w, cast(idx, int32)) });
    await expectGolden(c, outputs());
    if (packWeight(rt, w)) await expectGolden(c, outputs());
  });
});
