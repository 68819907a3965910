// A model family: what one architecture's config means, which tensors it has, and how they become a module tree.
// One file per family; `families` is the one list of decoders, encoders/index.ts that of encoders.
import { AoError, type Tensor } from '@ao/core';
import type { ModelConfig } from '../config/model-config.ts';
import type { Json } from '../config/read-json.ts';
import { encoderFamilies } from './encoders/index.ts';
import { gemma2 } from './gemma2.ts';
import { gemma3 } from './gemma3.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { mixtral } from './mixtral.ts';
import { olmo2 } from './olmo2.ts';
import { phi3 } from './phi3.ts';
import type { PretrainedModel } from './pretrained-model.ts';
import { qwen2 } from './qwen2.ts';
import { qwen2Moe } from './qwen2-moe.ts';
import { qwen3 } from './qwen3.ts';
import { qwen3Moe } from './qwen3-moe.ts';
import { smollm3 } from './smollm3.ts';

/** What a tensor is used for. Vectors are never quantized, routers of experts only where a rule names them. */
export type Role = 'linear' | 'embedding' | 'router' | 'vector';

export interface ParameterSpec {
  /** Hugging Face's name. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: Role;
  /** The head that turns hidden states into logits: quantized only where a rule names it. */
  readonly output?: boolean;
  /** A checkpoint may lack it; the model is built without it then. */
  readonly optional?: boolean;
}

export interface Outline {
  readonly parameters: readonly ParameterSpec[];
  /** Names that are other names of a parameter: { 'lm_head.weight': 'model.embed_tokens.weight' }. */
  readonly tied: Readonly<Record<string, string>>;
  /** The name above of a tensor that a file has under another: heads' prefixes, names of old checkpoints. */
  rename?(name: string): string;
  /**
   * Tensors that a checkpoint may hold in the place of parameters: several, whose rows follow each other, or one under another
   * name. { 'a.experts.down_proj': ['a.experts.0.down_proj.weight', ...] }
   */
  readonly stacked?: Readonly<Record<string, readonly string[]>>;
  /** Modules in the order in which they run, each of which lies on one device; where they are absent the model does as a whole. */
  readonly blocks?: readonly string[];
  /** What config.json says otherwise where this is a part of what the folder has: saved with that part. */
  readonly configChanges?: Json;
  build(weight: (name: string) => Tensor): PretrainedModel;
}

export interface ModelFamily {
  readonly name: string;
  readonly architectures: readonly string[];
  readonly modelTypes: readonly string[];
  /** modules.json says how its models embed texts. */
  readonly embedsTexts?: boolean;
  /** Tensors that old checkpoints carry and nothing reads. */
  readonly ignored?: RegExp;
  /** Throws ERR_AO_CONFIG on a config that the family cannot run. */
  outline(config: ModelConfig): Outline;
}

/** The decoders: each builds a CausalLM. */
export const families: readonly ModelFamily[] = /*@__PURE__*/ Object.freeze([
  llama,
  smollm3,
  mistral,
  phi3,
  qwen2,
  qwen3,
  gemma2,
  gemma3,
  olmo2,
  mixtral,
  qwen2Moe,
  qwen3Moe,
]);

export type AutoClassName = 'AutoModel' | 'AutoModelForCausalLM';

/** Which families each class for loading takes. */
const autoClasses: readonly { readonly name: AutoClassName; readonly families: readonly ModelFamily[] }[] =
  /*@__PURE__*/ Object.freeze([
    { name: 'AutoModelForCausalLM', families },
    { name: 'AutoModel', families: encoderFamilies },
  ]);

/** The family of a config, among those of one auto class where it is named. */
export function familyOf(config: ModelConfig, auto?: AutoClassName): ModelFamily {
  const one = config.architecture || config.modelType;
  for (const { name, families } of autoClasses) {
    const found = families.find((f) =>
      config.architecture === ''
        ? f.modelTypes.includes(config.modelType)
        : f.architectures.includes(config.architecture),
    );
    if (found === undefined) continue;
    if (auto === undefined || name === auto) return found;
    throw new AoError('ERR_AO_CONFIG', `${config.where}: ${one} is no model of ${auto}`, {
      fix: `load it by ${name}.fromPretrained`,
    });
  }
  const wanted = autoClasses.filter(({ name }) => auto === undefined || name === auto);
  const known = wanted.flatMap(({ families }) => families.flatMap((f) => f.architectures)).join(', ');
  throw new AoError('ERR_AO_CONFIG', `${config.where}: architecture ${one} is not supported`, {
    fix: `supported: ${known}`,
  });
}

/** The outline without the optional parameters that a checkpoint lacks. */
export function outlineOf(outline: Outline, has: (name: string) => boolean): Outline {
  return { ...outline, parameters: outline.parameters.filter((p) => p.optional !== true || has(p.name)) };
}

/** Names that parameters have where a checkpoint holds several in one tensor, or one under another name. */
export function stackNames({ stacked = {} }: Outline): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [stack, names] of Object.entries(stacked))
    for (const name of names) found.set(name, [...(found.get(name) ?? []), stack]);
  return found;
}

/** 'model.layers.0.mlp.up_proj.weight' -> 'model.layers.0.mlp.up_proj'. */
export function moduleOf(parameter: string): string {
  return parameter.slice(0, Math.max(0, parameter.lastIndexOf('.')));
}
