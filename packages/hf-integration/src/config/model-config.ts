// readModelConfig(folder): config.json of a Hugging Face model: which architecture, which dtype, whether already quantized.
import { join } from 'node:path';
import { AoError } from '@ao/core';
import { foreignQuantization } from '../foreign/read-foreign.ts';
import { Fields } from './fields.ts';
import { type Json, readJson } from './read-json.ts';

export interface ModelConfig {
  /** The file as it is, for families and for writing it back. */
  readonly json: Json;
  readonly where: string;
  readonly architecture: string;
  readonly modelType: string;
  /** torch's name of the checkpoint's dtype ('bfloat16', ...), when the file says. */
  readonly dtype: string | undefined;
  /** transformers' quantization_config, when the checkpoint is quantized already; another library's in torchao's words. */
  readonly quantizationConfig: Json | undefined;
}

export async function readModelConfig(folder: string): Promise<ModelConfig> {
  const json = await readJson(folder, 'config.json', 'the model’s architecture and sizes are in it');
  return parseModelConfig(json, join(folder, 'config.json'));
}

export function parseModelConfig(json: Json, where: string): ModelConfig {
  const fields = new Fields(json, where);
  const architectures = json['architectures'];
  const named = Array.isArray(architectures) ? architectures[0] : undefined;
  const modelType = fields.text('model_type', '');
  if (typeof named !== 'string' && modelType === '') {
    throw new AoError('ERR_AO_CONFIG', `${where} names neither architectures nor model_type`, {
      fix: 'add "architectures": ["LlamaForCausalLM"] or what the model is',
    });
  }
  // transformers 5 writes dtype, older ones torch_dtype
  const dtype = fields.text('dtype', fields.text('torch_dtype', ''));
  return {
    json,
    where,
    architecture: typeof named === 'string' ? named : '',
    modelType,
    dtype: dtype === '' || dtype === 'auto' ? undefined : dtype.replace(/^torch\./, ''),
    quantizationConfig: foreignQuantization(json, where) ?? fields.object('quantization_config')?.json,
  };
}
