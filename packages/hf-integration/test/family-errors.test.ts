// What a decoder's config or checkpoint may not be: errors say what was found and what is supported, before any work.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime, type Runtime, writeSafetensors } from '@ao/core';
import { quantization } from '@ao/quantization';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseModelConfig } from '../src/config/model-config.ts';
import { hfIntegration } from '../src/extension.ts';
import { createFile } from '../src/files/node-file.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { familyOf } from '../src/models/family.ts';
import { type FamilyFixture, familyBytes, familyFixture, writeFamily } from './family-fixtures.ts';

let root: string;
let runtime: Runtime;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ao-family-errors-'));
  runtime = await createRuntime({ use: [hfIntegration(), quantization()] });
});
afterAll(async () => {
  await runtime.close();
  await rm(root, { recursive: true, force: true });
});

test.each([
  [
    'gemma2',
    { layer_types: ['full_attention', 'chunked_attention'] },
    /layer_types is .*chunked.*must be a list of full_attention and sliding_attention, one for each of 2 layers/,
  ],
  [
    'gemma2',
    { use_bidirectional_attention: true },
    /use_bidirectional_attention is true; it must be false in a decoder/,
  ],
  ['gemma2', { final_logit_softcapping: -1 }, /final_logit_softcapping is -1; it must be a number above 0/],
  [
    'gemma2',
    { hidden_activation: 'quick_gelu' },
    /hidden_activation is "quick_gelu"; it must be one of silu, gelu, gelu_pytorch_tanh/,
  ],
  ['gemma3', { attn_logit_softcapping: 50 }, /attn_logit_softcapping is 50; it must be null in this family/],
  [
    'smollm3',
    { no_rope_layers: [1] },
    /no_rope_layers is \[1\]; it must be a list of 0 and 1, one for each of 2 layers/,
  ],
  ['mistral', { sliding_window: 0 }, /sliding_window is 0; it must be a whole number of at least 1/],
  ['mistral', { num_key_value_heads: 3 }, /num_key_value_heads is 3; it must be a divisor of num_attention_heads/],
  [
    'phi3',
    { partial_rotary_factor: 0.4 },
    /partial_rotary_factor is 0.4; it must be a part of head_dim 8 that is even/,
  ],
  ['phi4-mini', { partial_rotary_factor: 1 }, /rope_scaling is .*must be factors for 4 frequencies/],
  [
    'phi4-mini',
    { rope_scaling: { type: 'longrope', short_factor: 1, long_factor: [1] } },
    /short_factor is 1; it must be a list of numbers above 0/,
  ],
  [
    'qwen2',
    { rope_scaling: { type: 'dynamic', factor: 2 } },
    /rope_type 'dynamic' is not supported.*default, linear, llama3, yarn, longrope/s,
  ],
  ['qwen3', { head_dim: 7 }, /head_dim is 7; it must be an even whole number/],
  ['mixtral', { num_local_experts: 'many' }, /num_local_experts is "many"; it must be a whole number/],
  ['mixtral', { num_experts_per_tok: 9 }, /num_experts_per_tok is 9; it must be at most the number of experts, 4/],
])('%s with %j', async (name, change, message) => {
  const { config } = await familyFixture(name);
  const parsed = parseModelConfig({ ...config, ...change }, 'config.json');
  expect(() => familyOf(parsed).outline(parsed)).toThrow(message);
});

test('an architecture that is not supported is told with those that are', () => {
  const parsed = parseModelConfig({ architectures: ['MambaForCausalLM'], model_type: 'mamba' }, 'config.json');
  expect(() => familyOf(parsed)).toThrow(
    /architecture MambaForCausalLM is not supported.*LlamaForCausalLM.*Gemma3ForCausalLM.*Qwen3MoeForCausalLM/s,
  );
});

async function withDtype(fixture: FamilyFixture, folder: string, tensor: string, dtype: string): Promise<void> {
  await writeFamily(folder, fixture);
  const items = Object.entries(fixture.tensors).map(([name, shape]) => ({
    name,
    shape,
    dtype: name === tensor ? dtype : 'BF16',
  }));
  await writeSafetensors(await createFile(join(folder, 'model.safetensors')), items, ({ name, begin, end }) =>
    familyBytes(fixture, name).subarray(0, end - begin),
  );
}

test('weights that are codes of another quantization are refused, not read as values', async () => {
  const fixture = await familyFixture('qwen3');
  const folder = join(root, 'float8');
  await withDtype(fixture, folder, 'model.layers.1.mlp.up_proj.weight', 'F8_E4M3');
  await expect(AutoModelForCausalLM.fromPretrained(folder, { runtime })).rejects.toMatchObject({
    code: 'ERR_AO_DTYPE',
    message: expect.stringMatching(/stored as F8_E4M3[\s\S]*F32, F16, BF16/),
  });
});
