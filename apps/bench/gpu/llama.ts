// A Llama 3.1 8B with random weights, quantized layer by layer, for the parts that measure whole models. AO_BENCH_LAYERS (32) makes it shorter,
// AO_BENCH_SCHEMES names the schemes to measure, with commas.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ao from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { AutoModelForCausalLM, type CausalLM } from '@ao/hf-integration';
import { cuda } from '@ao/kernels-cuda';
import { parseScheme, quantization, quantize_ } from '@ao/quantization';

export const LAYERS = Number(process.env['AO_BENCH_LAYERS'] ?? 32);

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 4096,
  intermediate_size: 14336,
  num_attention_heads: 32,
  num_hidden_layers: LAYERS,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  initializer_range: 0.02,
  tie_word_embeddings: false,
  bos_token_id: 0,
  eos_token_id: 0,
};

/** Those of `all` that AO_BENCH_SCHEMES names. */
export function chosen(all: readonly string[]): readonly string[] {
  const named = process.env['AO_BENCH_SCHEMES']?.split(',');
  return named === undefined ? all : all.filter((scheme) => named.includes(scheme));
}

/** The model on a runtime of its own, packed; `scheme` is one of parseScheme's, or 'bfloat16'. */
export async function withLlama(
  scheme: string,
  use: (model: CausalLM, rt: ao.Runtime) => Promise<void>,
): Promise<void> {
  const rt = await ao.createRuntime({ use: [cuda(), autograd(), quantization()] });
  const folder = await mkdtemp(join(tmpdir(), 'ao-llama-'));
  try {
    await writeFile(join(folder, 'config.json'), JSON.stringify(CONFIG));
    const model = await AutoModelForCausalLM.fromConfig(folder, { runtime: rt, dtype: 'bfloat16' });
    for (const t of model.parameters()) t.requiresGrad = false;
    if (scheme !== 'bfloat16') await quantize_(model, parseScheme(scheme), { sqnr: false });
    await ao.prepare(model);
    await use(model, rt);
    model.dispose();
  } finally {
    await rm(folder, { recursive: true, force: true });
    await rt.close();
  }
}

/** n ids of the vocabulary. */
export const someIds = (n: number): number[] =>
  Array.from({ length: n }, (_, i) => (i * 7919 + 13) % CONFIG.vocab_size);

export const modelName = LAYERS === 32 ? 'Llama 8B' : `Llama 8B of ${LAYERS} layers`;
