// Every golden linear layer and embedding that the integer schemes cover, on the reference backend.
import {
  cast,
  cat,
  createRuntime,
  type Dense,
  dequantize,
  dtypeByName,
  embedding,
  fromBits,
  int32,
  linear,
  type Runtime,
  reshape,
  type Tensor,
  type Wrapped,
} from '@ao/core';
import { expectGolden, type GoldenCase, goldenCases, goldenInputs } from '@ao/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { configFromDict } from '../src/config/codec.ts';
import { quantizeActivation } from '../src/kinds/int8-linear.ts';
import type { Int8Attrs } from '../src/kinds/int8-tensor.ts';
import { int8AsymPerToken } from '../src/kinds/intx-tensor.ts';
import { isProblem, planTrait } from '../src/quantize/trait.ts';
import { quantization } from '../src/schemes/all.ts';

let rt: Runtime;
beforeAll(async () => {
  rt = await createRuntime({ use: [quantization()] });
});

const ours = new Set([
  'Int8WeightOnlyConfig',
  'Int8DynamicActivationInt8WeightConfig',
  'Int8StaticActivationInt8WeightConfig',
  'Int4WeightOnlyConfig',
  'PrototypeInt4WeightOnlyConfig',
  'IntxWeightOnlyConfig',
  'Int8DynamicActivationIntxWeightConfig',
]);
const typeOf = (c: GoldenCase): string => (c.config as { _type?: string } | undefined)?._type ?? '';
const linears = goldenCases((c) => c.family === 'linear' && c.op === 'quantized_linear' && ours.has(typeOf(c)));
const embeddings = goldenCases((c) => c.op === 'quantized_embedding' && ours.has(typeOf(c)));

async function inputs(c: GoldenCase): Promise<Record<string, Dense>> {
  const found = await goldenInputs(c);
  return Object.fromEntries(
    Object.entries(found).map(([role, t]) => [role, fromBits(rt, t.bits, t.shape, dtypeByName(t.dtype))]),
  );
}

function quantized(c: GoldenCase, weight: Dense): Wrapped {
  const plan = rt.ask(planTrait, configFromDict(c.config), { shape: weight.shape, dtype: weight.dtype.name });
  if (isProblem(plan)) throw new Error(plan.problem);
  return plan.quantize(weight) as Wrapped;
}

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
  const kwargs = (w.attrs as Int8Attrs).actQuantKwargs;
  if (kwargs === null) throw new Error(`${c.name}: no activation scheme`);
  const act = quantizeActivation(x, kwargs, w.parts.act_quant_scale, w.parts.act_quant_zero_point);
  return { act_qdata: act.qdata, act_scale: act.scale, act_zero_point: act.zeroPoint };
}

describe('linear', () => {
  it('covers the schemes', () => expect(linears).toHaveLength(122));

  it.each(linears.map((c) => [c.name, c] as const))('%s', async (_name, c) => {
    const { weight, x, bias } = (await inputs(c)) as { weight: Dense; x: Dense; bias?: Dense };
    const w = quantized(c, weight);
    const outputs = { ...parts(c, w), ...activation(c, w, x), dequant: dequantize(w), y: linear(x, w, bias) };
    // torch's CPU kernel decodes tinygemm weights by fused multiply-add; the others round the product, as we do.
    const fused = c.name.startsWith('linear/int4_tinygemm_g32/f32');
    await expectGolden(c, outputs, fused ? { only: ['scale_and_zero', 'y'] } : {});
  });
});

describe('embedding', () => {
  it('covers the schemes', () => expect(embeddings).toHaveLength(2));

  it.each(embeddings.map((c) => [c.name, c] as const))('%s', async (_name, c) => {
    const { weight, idx } = (await inputs(c)) as { weight: Dense; idx: Dense };
    const w = quantized(c, weight);
    await expectGolden(c, { ...parts(c, w), y: embedding(w, cast(idx, int32)) });
  });
});
