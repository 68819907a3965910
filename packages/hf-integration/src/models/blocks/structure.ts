// structureOf: how a decoder's weights meet, for calibration: which linears read a norm, which rows of one linear become the
// columns that another reads, and where the residual stream is read and written. It looks at blocks, never at families.
import { isModule, type Module } from '@ao/core';
import type { Fold, ModelStructure, ValueHeads } from '@ao/quantization';
import type { Attention } from './attention.ts';
import type { DecoderSpec } from './decoder.ts';
import { SparseMoeBlock } from './experts.ts';
import type { LayerSpec } from './layer.ts';
import type { GatedMLP } from './mlp.ts';

interface Read {
  readonly norm: string;
  readonly readers: readonly string[];
}

interface Found {
  readonly folds: Fold[];
  readonly reads: Read[];
  readonly writes: string[];
  readonly heads: ValueHeads[];
  readonly online: string[];
}

/** `layers`: the model's, below `model.layers`. */
export function structureOf(spec: DecoderSpec, layers: readonly Module[]): ModelStructure {
  const found: Found = { folds: [], reads: [], writes: [], heads: [], online: [] };
  for (const [i, layer] of layers.entries()) addLayer(found, `model.layers.${i}`, layer, spec.layers[i]!);
  const { folds, heads, online, reads, writes } = found;
  const ends = { norm: 'model.norm', readers: ['lm_head'] };
  const turns = spec.layers.every((layer) => layer.norms === 'before');
  return {
    folds,
    heads,
    online,
    ...(turns && {
      residual: { size: spec.hiddenSize, embeddings: ['model.embed_tokens'], reads: [...reads, ends], writes },
    }),
  };
}

type Bag = Readonly<Record<string, unknown>>;

function addLayer(found: Found, path: string, layer: Module, spec: LayerSpec): void {
  const has = (name: string): boolean => isModule((layer as unknown as Bag)[name]);
  const { self_attn: attention } = layer as unknown as { self_attn: Attention };
  const name = spec.feedForwardName ?? 'mlp';
  const feedForward = (layer as unknown as Record<string, Module>)[name]!;
  const before = spec.norms === 'before' ? 'post_attention_layernorm' : 'pre_feedforward_layernorm';
  const inputs = addAttention(found, `${path}.self_attn`, attention, spec);
  if (has('input_layernorm')) addRead(found, `${path}.input_layernorm`, inputs, true);
  const sparse = feedForward instanceof SparseMoeBlock;
  const readers = sparse
    ? addExperts(found, `${path}.${name}`, feedForward)
    : addMlp(found, `${path}.${name}`, feedForward as GatedMLP);
  if (has(before)) addRead(found, `${path}.${before}`, readers, !sparse);
}

/** Experts see a part of a norm's rows each, so its scale cannot be one expert's. */
function addRead(found: Found, norm: string, readers: readonly string[], folds: boolean): void {
  found.reads.push({ norm, readers });
  if (folds) found.folds.push({ norm, readers });
}

/** Gives the linears that read the attention's input. */
function addAttention(found: Found, path: string, attention: Attention, { attention: spec }: LayerSpec): string[] {
  const { heads, kvHeads, headDim } = spec;
  const fused = attention.qkv_proj !== undefined;
  const value = `${path}.${fused ? 'qkv_proj' : 'v_proj'}`;
  const output = `${path}.o_proj`;
  const offset = fused ? (heads + kvHeads) * headDim : 0;
  const row = (c: number): number =>
    offset + Math.floor(Math.floor(c / headDim) / (heads / kvHeads)) * headDim + (c % headDim);
  found.folds.push({ readers: [output], linear: value, row });
  found.writes.push(output);
  if (!fused) found.heads.push({ value, output, headDim });
  return fused ? [value] : ['q_proj', 'k_proj', 'v_proj'].map((name) => `${path}.${name}`);
}

function addMlp(found: Found, path: string, mlp: GatedMLP): string[] {
  const width = mlp.down_proj.weight.shape[1]!;
  const fused = mlp.gate_up_proj !== undefined;
  const down = `${path}.down_proj`;
  const row = fused ? (c: number): number => width + c : (c: number): number => c;
  found.folds.push({ readers: [down], linear: `${path}.${fused ? 'gate_up_proj' : 'up_proj'}`, row });
  found.writes.push(down);
  found.online.push(down);
  return fused ? [`${path}.gate_up_proj`] : [`${path}.gate_proj`, `${path}.up_proj`];
}

function addExperts(found: Found, path: string, block: SparseMoeBlock): string[] {
  const readers = [`${path}.gate`];
  for (const [e, expert] of block.experts.entries()) {
    const [gate, up, down] = [...expert.children()].map(([name]) => `${path}.experts.${e}.${name}`) as [
      string,
      string,
      string,
    ];
    found.folds.push({ readers: [down], linear: up, row: (c) => c });
    found.writes.push(down);
    readers.push(gate, up);
  }
  if (block.shared_expert) {
    readers.push(...addMlp(found, `${path}.shared_expert`, block.shared_expert), `${path}.shared_expert_gate`);
  }
  return readers;
}
