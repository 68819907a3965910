// configFromGguf(head): the config.json that a GGUF's metadata means, in transformers' names. What GGUF leaves out because
// llama.cpp knows it by the architecture is said here.
import { AoError } from '@ao/core';
import type { Json } from '../config/read-json.ts';
import { GgufFields } from './gguf-fields.ts';
import { type GgufHead, ggufError } from './parse-gguf.ts';
import { type RopeTables, ropeFromGguf } from './rope-from-gguf.ts';

export interface GgufModel {
  readonly modelType: string;
  readonly heads: { readonly heads: number; readonly kvHeads: number };
  readonly config: Json;
}

/** A float32 as the decimal number that was meant: 1e-5, not 0.00000999999974737875. */
const decimal = (x: number): number => Number(x.toPrecision(7));

export function configFromGguf(head: GgufHead, tables: RopeTables, file: string): GgufModel {
  const f = new GgufFields(head, file);
  const modelType = modelTypeOf(f, file);
  const heads = f.needed('attention.head_count');
  const kvHeads = f.number('attention.head_count_kv') ?? heads;
  const hidden = f.needed('embedding_length');
  const vocab = head.tensors.get('token_embd.weight')?.shape[0];
  if (vocab === undefined) throw ggufError(file, 'it lacks token_embd.weight');
  const headDim = f.number('attention.key_length') ?? hidden / heads;
  const layers = f.needed('block_count');
  const window = f.number('attention.sliding_window');
  const config: Record<string, unknown> = {
    architectures: [ARCHITECTURES[modelType]],
    model_type: modelType,
    dtype: floatOf(head),
    vocab_size: vocab,
    hidden_size: hidden,
    intermediate_size: f.needed('feed_forward_length'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    max_position_embeddings: f.needed('context_length'),
    rms_norm_eps: decimal(f.needed('attention.layer_norm_rms_epsilon')),
    tie_word_embeddings: !head.tensors.has('output.weight'),
    ...ropeFromGguf(f, tables, headDim),
    ...tokenIds(f),
    sliding_window: window === undefined || window === 0 ? null : window,
  };
  // Qwen 2 has biases of its own, Phi 3 none
  config['attention_bias'] = head.tensors.has('blk.0.attn_q.bias');
  config['mlp_bias'] = head.tensors.has('blk.0.ffn_up.bias');
  if (modelType === 'mixtral') {
    config['num_local_experts'] = f.needed('expert_count');
    config['num_experts_per_tok'] = f.needed('expert_used_count');
  }
  if (modelType.startsWith('gemma')) Object.assign(config, gemma(f, modelType, { layers, hidden, heads, headDim }));
  return { modelType, heads: { heads, kvHeads }, config: config as Json };
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  mixtral: 'MixtralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  phi3: 'Phi3ForCausalLM',
  gemma2: 'Gemma2ForCausalLM',
  gemma3_text: 'Gemma3ForCausalLM',
};

function modelTypeOf(f: GgufFields, file: string): string {
  const { architecture } = f;
  if (architecture === 'llama') return (f.number('expert_count') ?? 0) > 0 ? 'mixtral' : 'llama';
  const modelType = architecture === 'gemma3' ? 'gemma3_text' : architecture;
  if (modelType in ARCHITECTURES) return modelType;
  throw new AoError('ERR_AO_CONFIG', `${file}: architecture '${architecture}' is not read from GGUF`, {
    fix: 'llama, qwen2, qwen3, phi3, gemma2 and gemma3 are; take the model in safetensors',
  });
}

/** llama.cpp scales scores by the head's size, but in the largest Gemma by what a head has of the hidden size. */
function gemma(
  f: GgufFields,
  modelType: string,
  { layers, hidden, heads, headDim }: { layers: number; hidden: number; heads: number; headDim: number },
): Record<string, unknown> {
  const largest = modelType === 'gemma2' ? 46 : 62;
  const common = {
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: layers === largest ? hidden / heads : headDim,
  };
  if (modelType === 'gemma3_text') return { ...common, rope_local_base_freq: 10000, sliding_window_pattern: 6 };
  return {
    ...common,
    attn_logit_softcapping: f.number('attn_logit_softcapping') ?? 50,
    final_logit_softcapping: f.number('final_logit_softcapping') ?? 30,
  };
}

/** What activations are: the file's own float type, bfloat16 where all matrices are quantized. */
function floatOf({ tensors }: GgufHead): string {
  const matrices = [...tensors.values()].filter((t) => t.shape.length > 1);
  const has = (type: string): boolean => matrices.some((t) => t.type.name === type);
  if (has('BF16')) return 'bfloat16';
  if (has('F16')) return 'float16';
  return matrices.every((t) => t.type.name === 'F32') ? 'float32' : 'bfloat16';
}

function tokenIds(f: GgufFields): Record<string, unknown> {
  const ids = ['bos', 'eos', 'padding'].map((name) => [name, f.number(`tokenizer.ggml.${name}_token_id`)] as const);
  const named = ids
    .filter(([, id]) => id !== undefined)
    .map(([name, id]) => [`${name === 'padding' ? 'pad' : name}_token_id`, id]);
  return Object.fromEntries(named) as Record<string, unknown>;
}
