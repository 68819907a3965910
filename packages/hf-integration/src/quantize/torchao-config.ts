// torchAoConfig(config, options): transformers' TorchAoConfig as plain data, and its JSON in config.json:
//   quantization_config = { quant_method: 'torchao', quant_type: { default: CONFIG }, modules_to_not_convert: [..] | null,
//                           include_input_output_embeddings, untie_embedding_weights }
import { AoError } from '@ao/core';
import {
  type AoConfig,
  configFromDict,
  configToJsonTree,
  type MoreConfigs,
  type Json as PythonTree,
  parseScheme,
  pythonJson,
  type SchemeKwargs,
} from '@ao/quantization';
import { Fields } from '../config/fields.ts';
import type { Json } from '../config/read-json.ts';
import { foreignFormats } from '../foreign/formats.ts';

export interface TorchAoConfig {
  readonly quantType: AoConfig;
  /**
   * Weights that stay as they are: whole segments of a name ('model.layers.1', 'mlp', 'up_proj'), or how it begins with a
   * regular expression in it ('model.layers.*.up_proj'), as in transformers. null: the head stays; a list takes the place of
   * that default, so a head of its own is quantized unless the list has it.
   */
  readonly modulesToNotConvert: readonly string[] | null;
  /** Also quantizes the embedding and the head (by default only a rule that names them does). */
  readonly includeInputOutputEmbeddings: boolean;
  /** Gives a tied head a tensor of its own where it or the embedding is quantized; config.json then says so. */
  readonly untieEmbeddingWeights: boolean;
}

export type TorchAoOptions = Partial<Omit<TorchAoConfig, 'quantType'>> & {
  /** The older name of `includeInputOutputEmbeddings`. */
  readonly includeEmbedding?: boolean;
};

/** What quantizes a model: a TorchAoConfig, a config of @ao/quantization, a scheme by name, or what config.json holds. */
export type QuantizationConfigInput = TorchAoConfig | AoConfig | string | Json;

/**
 * transformers' TorchAoConfig. A string names the scheme ('int4_weight_only', 'int4wo-32'); further options are those of its
 * config: `torchAoConfig('int4_weight_only', { groupSize: 32, modulesToNotConvert: ['lm_head'] })`.
 */
export function torchAoConfig(quantType: AoConfig, options?: TorchAoOptions): TorchAoConfig;
export function torchAoConfig(scheme: string, options?: TorchAoOptions & SchemeKwargs): TorchAoConfig;
export function torchAoConfig(type: AoConfig | string, options: TorchAoOptions & SchemeKwargs = {}): TorchAoConfig {
  const {
    modulesToNotConvert = null,
    includeEmbedding = false,
    includeInputOutputEmbeddings = includeEmbedding,
    untieEmbeddingWeights = false,
    ...kwargs
  } = options;
  const [extra] = Object.keys(kwargs);
  if (typeof type !== 'string' && (typeof type !== 'object' || type === null || typeof type.type !== 'string')) {
    throw new AoError('ERR_AO_CONFIG', `torchAoConfig got ${JSON.stringify(type)}, not a config`, {
      fix: "give one made by int4WeightOnly({ groupSize: 32 }) and its like, or a name such as 'int4_weight_only'",
    });
  }
  if (typeof type !== 'string' && extra !== undefined) {
    throw new AoError('ERR_AO_CONFIG', `torchAoConfig has no option ${extra}`, {
      fix: `use ${OPTIONS.join(', ')}; options of ${type.type} go into the config itself`,
    });
  }
  if (modulesToNotConvert !== null && !isNames(modulesToNotConvert)) {
    throw new AoError('ERR_AO_CONFIG', `modulesToNotConvert is ${JSON.stringify(modulesToNotConvert)}`, {
      fix: "give a list of names, e.g. ['lm_head', 'model.layers.0']",
    });
  }
  const quantType = typeof type === 'string' ? parseScheme(type, kwargs) : type;
  return Object.freeze({ quantType, modulesToNotConvert, includeInputOutputEmbeddings, untieEmbeddingWeights });
}

const OPTIONS = ['modulesToNotConvert', 'includeInputOutputEmbeddings', 'untieEmbeddingWeights'] as const;

const isNames = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string');

/** Brings every form that `quantizationConfig` takes to the one. `more`: a runtime whose extensions have further configs. */
export function toTorchAoConfig(input: QuantizationConfigInput, more: MoreConfigs = []): TorchAoConfig {
  if (typeof input === 'string') return torchAoConfig(input);
  if (typeof input === 'object' && input !== null) {
    if ('quantType' in input) return input as TorchAoConfig;
    if ('quant_method' in input) return torchAoConfigFromJson(input as Json, 'quantizationConfig', more);
  }
  return torchAoConfig(input as AoConfig);
}

export function torchAoConfigToJson(config: TorchAoConfig, more: MoreConfigs = []): PythonTree {
  return {
    quant_method: 'torchao',
    quant_type: { default: configToJsonTree(config.quantType, more) },
    modules_to_not_convert: config.modulesToNotConvert,
    include_input_output_embeddings: config.includeInputOutputEmbeddings,
    untie_embedding_weights: config.untieEmbeddingWeights,
  };
}

/** The text that Python's TorchAoConfig.to_json_string() gives. */
export function torchAoConfigToJsonString(config: TorchAoConfig, more: MoreConfigs = []): string {
  return `${pythonJson(torchAoConfigToJson(config, more), { indent: 2, sortKeys: true })}\n`;
}

/** Reads quantization_config of a config.json; throws ERR_AO_CONFIG for other methods and for shapes of old versions. */
export function torchAoConfigFromJson(json: Json, where: string, more: MoreConfigs = []): TorchAoConfig {
  const fields = new Fields(json, `${where} quantization_config`);
  const method = fields.text('quant_method', 'none');
  if (method !== 'torchao') {
    throw new AoError('ERR_AO_CONFIG', `${where}: quantized by '${method}'`, {
      fix: `checkpoints of torchao, ${foreignFormats.map((f) => f.name).join(', ')} are read; take the unquantized model and quantize it`,
    });
  }
  if (typeof json['quant_type'] === 'string') {
    throw new AoError(
      'ERR_AO_CONFIG',
      `${where}: quant_type '${json['quant_type']}' is the form that transformers gave up`,
      {
        fix: 'write { "default": <torchao config as JSON> }',
      },
    );
  }
  const type = fields.object('quant_type');
  if (!type?.has('default')) throw fields.error('quant_type', 'an object with the key "default"');
  const skip = json['modules_to_not_convert'] ?? null;
  if (skip !== null && !isNames(skip)) {
    throw fields.error('modules_to_not_convert', 'a list of names or null');
  }
  return torchAoConfig(configFromDict(type.json['default'], more), {
    modulesToNotConvert: skip,
    includeInputOutputEmbeddings: fields.flag('include_input_output_embeddings', false),
    untieEmbeddingWeights: fields.flag('untie_embedding_weights', false),
  });
}
