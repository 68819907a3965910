// readForeign(folder, file): the checkpoint of a folder in torchao's form, whichever library wrote it; foreignQuantization: what its
// config.json says in torchao's words.
import { join } from 'node:path';
import type { TensorFile } from '@ao/core';
import { configToDict } from '@ao/quantization';
import { type Json, readJsonIfPresent } from '../config/read-json.ts';
import { asTorchAo } from './as-torchao.ts';
import { foreignConfig } from './formats.ts';

export interface ForeignFile {
  readonly file: TensorFile;
  /** Reasons, each with the number of tensors that it is true of and one of them. */
  readonly notes: readonly string[];
}

export async function readForeign(folder: string, file: TensorFile): Promise<ForeignFile> {
  const json = await readJsonIfPresent(folder, 'config.json');
  const found = json && foreignConfig(json, join(folder, 'config.json'));
  if (!found) return { file, notes: [] };
  const tensors = await found.format.tensors(file, found.config);
  const reasons = new Map<string, string[]>();
  for (const { name, note } of tensors) if (note !== undefined) reasons.set(note, [...(reasons.get(note) ?? []), name]);
  const notes = [...reasons].map(([note, [first, ...more]]) => {
    const others = more.length === 0 ? '' : ` and ${more.length} others`;
    return `${found.format.name}: ${first}${others}: ${note}`;
  });
  return { file: asTorchAo(file, tensors), notes };
}

/** quantization_config as transformers' TorchAoConfig has it; undefined where config.json tells of no foreign format. */
export function foreignQuantization(json: Json, where: string): Json | undefined {
  const found = foreignConfig(json, where);
  if (!found) return undefined;
  const type = configToDict(found.format.quantization(found.config));
  return { quant_method: 'torchao', quant_type: { default: type }, include_input_output_embeddings: true };
}
