// torchAoConfig(config, options): transformers' TorchAoConfig as plain data, and its JSON in config.json:
//   quantization_config = { quant_method: 'torchao', quant_type: { default: CONFIG }, modules_to_not_convert: [..] | null,
//                           include_input_output_embeddings, untie_embedding_weights }
import { AoError } from '@ao/core';
import { type AoConfig, configFromDict, configToJsonTree, type Json as PythonTree } from '@ao/quantization';
import { Fields } from '../config/fields.ts';
import type { Json } from '../config/read-json.ts';

export interface TorchAoConfig {
  readonly quantType: AoConfig;
  /** Modules that stay as they are: names, their ends, or prefixes. */
  readonly modulesToNotConvert: readonly string[] | null;
  /** Also quantizes the embedding and the head (by default only a rule that names them does). */
  readonly includeInputOutputEmbeddings: boolean;
  /** Gives a tied head a tensor of its own before quantizing. */
  readonly untieEmbeddingWeights: boolean;
}

export type TorchAoOptions = Partial<Omit<TorchAoConfig, 'quantType'>>;

export function torchAoConfig(quantType: AoConfig, options: TorchAoOptions = {}): TorchAoConfig {
  if (typeof quantType !== 'object' || quantType === null || typeof quantType.type !== 'string') {
    throw new AoError('ERR_AO_CONFIG', `torchAoConfig got ${JSON.stringify(quantType)}, not a config`, {
      fix: "give one made by int4WeightOnly({ groupSize: 32 }) and its like, or by parseScheme('int4wo-32')",
    });
  }
  return Object.freeze({
    quantType,
    modulesToNotConvert: options.modulesToNotConvert ?? null,
    includeInputOutputEmbeddings: options.includeInputOutputEmbeddings ?? false,
    untieEmbeddingWeights: options.untieEmbeddingWeights ?? false,
  });
}

export function torchAoConfigToJson(config: TorchAoConfig): PythonTree {
  return {
    quant_method: 'torchao',
    quant_type: { default: configToJsonTree(config.quantType) },
    modules_to_not_convert: config.modulesToNotConvert,
    include_input_output_embeddings: config.includeInputOutputEmbeddings,
    untie_embedding_weights: config.untieEmbeddingWeights,
  };
}

/** Reads quantization_config of a config.json; throws ERR_AO_CONFIG for other methods and for shapes of old versions. */
export function torchAoConfigFromJson(json: Json, where: string): TorchAoConfig {
  const fields = new Fields(json, `${where} quantization_config`);
  const method = fields.text('quant_method', 'none');
  if (method !== 'torchao') {
    throw new AoError('ERR_AO_CONFIG', `${where}: quantized by '${method}'`, {
      fix: 'checkpoints of torchao are supported; take the unquantized model and quantize it',
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
  if (skip !== null && !(Array.isArray(skip) && skip.every((name) => typeof name === 'string'))) {
    throw fields.error('modules_to_not_convert', 'a list of names or null');
  }
  return torchAoConfig(configFromDict(type.json['default']), {
    modulesToNotConvert: skip as string[] | null,
    includeInputOutputEmbeddings: fields.flag('include_input_output_embeddings', false),
    untieEmbeddingWeights: fields.flag('untie_embedding_weights', false),
  });
}
