// One fine-tuning of SmolLM2 by LoRA over a base of a scheme, in a process of its own so that its peak memory counts alone:
//   node --conditions=@ao/source apps/bench/compat/peft-train.ts REQUEST.json OUT.json
import { readFileSync, writeFileSync } from 'node:fs';
import { createRuntime, int32, keep, mean, reshape, scope, type Tensor, tensor } from '@ao/core';
import { autograd, backward, linearCrossEntropy, noGrad, trainableParameters } from '@ao/core/autograd';
import { AutoModelForCausalLM, type DecoderForCausalLM, hfIntegration } from '@ao/hf-integration';
import { cpu } from '@ao/kernels-cpu';
import { AdamW, optim } from '@ao/optim';
import { adapterFiles, getPeftModel, loraConfig, qat } from '@ao/qat';
import { quantization } from '@ao/quantization';

export interface PeftRequest {
  readonly folder: string;
  readonly scheme: string;
  readonly dtype: string;
  readonly threads: number;
  readonly r: number;
  readonly alpha: number;
  readonly targets: readonly string[];
  readonly lr: number;
  readonly weightDecay: number;
  readonly batches: readonly (readonly (readonly number[])[])[];
  readonly prompts: readonly (readonly number[])[];
  readonly length: number;
  /** Folders that the adapter is written to, before and after. */
  readonly before: string;
  readonly after: string;
}

const [from, to] = process.argv.slice(2) as [string, string];
const asked = JSON.parse(readFileSync(from, 'utf8')) as PeftRequest;
const runtime = await createRuntime({
  use: [autograd(), hfIntegration(), quantization(), qat(), optim(), cpu({ threads: asked.threads })],
});
const model = (await AutoModelForCausalLM.fromPretrained(asked.folder, {
  runtime,
  dtype: asked.dtype,
  ...(asked.scheme === 'none' ? {} : { quantizationConfig: asked.scheme }),
})) as DecoderForCausalLM;
const adapter = await getPeftModel(
  model,
  loraConfig({ r: asked.r, loraAlpha: asked.alpha, targetModules: asked.targets }),
  { seed: 7 },
);

async function save(folder: string): Promise<void> {
  for (const [name, bytes] of Object.entries(await adapterFiles(adapter))) writeFileSync(`${folder}/${name}`, bytes);
}
await save(asked.before);

const optimizer = new AdamW(
  trainableParameters(model).map(([, t]) => t),
  { lr: asked.lr, weightDecay: asked.weightDecay },
);
const [B, T] = [asked.batches[0]!.length, asked.batches[0]![0]!.length - 1];
optimizer.initState();
model.prepareFor(T);
const put = (rows: readonly (readonly number[])[]): Tensor =>
  tensor(runtime, rows.flat(), { shape: [B, T], dtype: int32 });
const step = (ids: Tensor, targets: Tensor): Tensor => {
  const hidden = reshape(model.hidden(ids), [B * T, -1]);
  const loss = mean(linearCrossEntropy(hidden, model.lm_head.weight, reshape(targets, [-1])));
  backward(loss);
  optimizer.step();
  optimizer.zeroGrad();
  return noGrad(() => mean(loss));
};
const inputs = asked.batches.map(
  (rows) => [put(rows.map((r) => r.slice(0, -1))), put(rows.map((r) => r.slice(1)))] as const,
);
for (const t of inputs.flat()) keep(t);
// a captured step is recorded, not run
const plan = runtime.capture((ids, targets) => step(ids, targets), ...inputs[0]!);
const losses: number[] = [];
const seconds: number[] = [];
for (const pair of inputs) {
  const start = performance.now();
  const [loss] = plan.replay(...pair);
  losses.push(await loss!.item());
  seconds.push((performance.now() - start) / 1000);
}
plan.dispose();
const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
await save(asked.after);
const tokens: (readonly number[])[] = [];
for (const prompt of asked.prompts) {
  const { ids } = await model.generate(prompt, { maxNewTokens: asked.length, temperature: 0 });
  tokens.push(ids);
}
writeFileSync(to, JSON.stringify({ losses, seconds, peak, tokens }));
scope(() => model.dispose());
await runtime.close();
