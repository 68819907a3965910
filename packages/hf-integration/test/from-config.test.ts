// New models from config.json: what their weights are drawn from, that they train, and that they save.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime, int32, reshape, sum, tensor } from '@ao/core';
import { autograd, backward } from '@ao/core/autograd';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AutoModelForCausalLM } from '../src/index.ts';

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_attention_heads: 2,
  num_hidden_layers: 2,
  num_key_value_heads: 1,
  vocab_size: 96,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  initializer_range: 0.05,
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 0,
};

let folder = '';
const rt = await createRuntime({ use: [autograd()] });
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-from-config-'));
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await rt.close();
});

it('draws matrices from a normal distribution and makes norms 1, by the seed alone', async () => {
  const [a, b, c] = await Promise.all(
    [1, 1, 2].map((seed) => AutoModelForCausalLM.fromConfig(folder, { runtime: rt, seed })),
  );
  const values = [...a!.namedParameters()].map(([name, t]) => [name, [...t.dataSync()]] as const);
  const drawn = values.filter(([name]) => !name.includes('norm'));
  for (const [name, v] of drawn) {
    const mean = v.reduce((s, x) => s + x, 0) / v.length;
    const std = Math.sqrt(v.reduce((s, x) => s + x * x, 0) / v.length);
    expect(Math.abs(mean), name).toBeLessThan((0.05 * 4) / Math.sqrt(v.length));
    expect(Math.abs(std / 0.05 - 1), name).toBeLessThan(4 / Math.sqrt(2 * v.length));
  }
  const all = drawn.flatMap(([, v]) => v);
  // of a normal distribution 31.7% lie further than one standard deviation, 4.55% than two
  for (const [k, share] of [
    [1, 0.3173],
    [2, 0.0455],
  ] as const)
    expect(all.filter((x) => Math.abs(x) > 0.05 * k).length / all.length).toBeCloseTo(share, 2);
  expect(new Set(all).size).toBeGreaterThan(0.99 * all.length);
  for (const [, v] of values.filter(([name]) => name.includes('norm'))) expect(new Set(v)).toEqual(new Set([1]));
  expect([...b!.namedParameters()].map(([name, t]) => [name, [...t.dataSync()]])).toEqual(values);
  expect([...c!.parameters()[0]!.dataSync()]).not.toEqual(values[0]![1]);
});

it('gives a model that trains, and that fromPretrained reads once saved', async () => {
  const model = await AutoModelForCausalLM.fromConfig(folder, { runtime: rt });
  const ids = tensor(rt, [[1, 2, 3]], { dtype: int32 });
  const logits = model.call(ids);
  backward(sum(reshape(logits, [-1])));
  for (const [name, t] of model.namedParameters()) expect(t.grad, name).not.toBeNull();
  const out = join(folder, 'saved');
  await model.savePretrained(out);
  const again = await AutoModelForCausalLM.fromPretrained(out, { runtime: rt, dtype: 'float32' });
  expect([...again.call(ids).dataSync()]).toEqual([...logits.dataSync()]);
});

it('refuses a config of a quantized model, and one that it cannot build', async () => {
  const other = join(folder, 'other');
  await AutoModelForCausalLM.fromConfig(folder, { runtime: rt }).then((m) => m.savePretrained(other));
  const write = (more: object) => writeFile(join(other, 'config.json'), JSON.stringify({ ...config, ...more }));
  await write({ quantization_config: { quant_method: 'torchao', quant_type: { default: {} } } });
  await expect(AutoModelForCausalLM.fromConfig(other, { runtime: rt })).rejects.toThrow(
    /quantized model.*quantization_config/s,
  );
  await write({ architectures: ['PapyrusForCausalLM'] });
  await expect(AutoModelForCausalLM.fromConfig(other, { runtime: rt })).rejects.toThrow(/Papyrus/);
});
