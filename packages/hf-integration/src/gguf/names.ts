// Names of tensors: Hugging Face's and those of GGUF, for the architectures that both have. Mistral and Mixtral are 'llama' there.
//   'llama' keeps the rows of query and key heads so that the two halves of a rotated head alternate: row 2j + h is ours h D/2 + j
//   Gemma keeps norm weights as 1 + weight
//   experts are one tensor [E, N, K]
import { AoError } from '@ao/core';

const OUTSIDE: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};

const COMMON: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

const QK_NORMS = { 'self_attn.q_norm': 'attn_q_norm', 'self_attn.k_norm': 'attn_k_norm' };
const GEMMA = {
  ...COMMON,
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};

export interface GgufNames {
  /** general.architecture. */
  readonly architecture: string;
  /** Within a layer, without .weight and .bias. */
  readonly inside: Readonly<Record<string, string>>;
  /** Rows of queries and keys alternate. */
  readonly alternating?: boolean;
  /** What is added to norm weights. */
  readonly normOffset?: number;
}

const EXPERTS = {
  'block_sparse_moe.gate': 'ffn_gate_inp',
  'block_sparse_moe.experts.*.w1': 'ffn_gate_exps',
  'block_sparse_moe.experts.*.w3': 'ffn_up_exps',
  'block_sparse_moe.experts.*.w2': 'ffn_down_exps',
};

const llama: GgufNames = { architecture: 'llama', inside: COMMON, alternating: true };
const gemma = (architecture: string, inside: GgufNames['inside']): GgufNames => ({
  architecture,
  inside,
  normOffset: 1,
});

/** By model_type of config.json. */
const byModelType: Readonly<Record<string, GgufNames>> = {
  llama,
  mistral: llama,
  mixtral: { ...llama, inside: { ...COMMON, ...EXPERTS } },
  qwen2: { architecture: 'qwen2', inside: COMMON },
  qwen3: { architecture: 'qwen3', inside: { ...COMMON, ...QK_NORMS } },
  phi3: {
    architecture: 'phi3',
    inside: { ...COMMON, 'self_attn.qkv_proj': 'attn_qkv', 'mlp.gate_up_proj': 'ffn_up' },
  },
  gemma2: gemma('gemma2', GEMMA),
  gemma3_text: gemma('gemma3', { ...GEMMA, ...QK_NORMS }),
};

export function ggufNames(modelType: string, where: string): GgufNames {
  const found = byModelType[modelType];
  if (found) return found;
  throw new AoError('ERR_AO_CONFIG', `${where}: models of type ${modelType} have no form in GGUF that is known here`, {
    fix: `those of ${Object.keys(byModelType).join(', ')} have`,
  });
}

/** 'model.layers.1.mlp.up_proj.weight' -> 'blk.1.ffn_up.weight'; an expert's number is left out; undefined if there is none. */
export function toGgufName(names: GgufNames, name: string): string | undefined {
  const [, stem = '', suffix = ''] = /^(.*)\.(weight|bias)$/.exec(name) ?? [];
  const own = OUTSIDE[stem];
  if (own !== undefined) return `${own}.${suffix}`;
  const [, layer, inner = ''] = /^model\.layers\.(\d+)\.(.*)$/.exec(stem) ?? [];
  const found = names.inside[inner.replace(/\.experts\.\d+\./, '.experts.*.')];
  return layer === undefined || found === undefined ? undefined : `blk.${layer}.${found}.${suffix}`;
}

/** Which expert a parameter belongs to. */
export function expertOf(name: string): number | undefined {
  const [, e] = /\.experts\.(\d+)\./.exec(name) ?? [];
  return e === undefined ? undefined : Number(e);
}

/** Whether a parameter's rows alternate, with the heads that they are of. */
export function alternatingHeads(
  names: GgufNames,
  name: string,
  heads: { readonly heads: number; readonly kvHeads: number },
): number | undefined {
  if (!names.alternating) return undefined;
  if (/\.self_attn\.q_proj\./.test(name)) return heads.heads;
  return /\.self_attn\.k_proj\./.test(name) ? heads.kvHeads : undefined;
}

/** Our row of a GGUF's row, of `rows` in `heads` heads. */
export function alternatedRow(row: number, rows: number, heads: number): number {
  const d = rows / heads;
  const [head, at] = [Math.floor(row / d), row % d];
  return head * d + (at % 2) * (d / 2) + (at >> 1);
}

/** GGUF's row of our row. */
export function alternatingRow(row: number, rows: number, heads: number): number {
  const d = rows / heads;
  const [head, at] = [Math.floor(row / d), row % d];
  return head * d + (at < d / 2 ? 2 * at : 2 * (at - d / 2) + 1);
}
