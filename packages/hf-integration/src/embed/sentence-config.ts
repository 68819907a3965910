// readSentenceConfig(folder): how sentence-transformers makes one vector of a text's hidden states, by modules.json and the
// configs that it names: the pooling, whether vectors are normalised, and the most tokens of a text.
import { join } from 'node:path';
import { AoError } from '@ao/core';
import { Fields } from '../config/fields.ts';
import { readJson, readJsonIfPresent, readListIfPresent } from '../config/read-json.ts';
import { POOLINGS, type Pooling } from './pooling.ts';

export interface SentenceConfig {
  readonly pooling?: Pooling;
  readonly normalize?: boolean;
  readonly maxSeqLength?: number;
}

export async function readSentenceConfig(folder: string): Promise<SentenceConfig> {
  const modules = await readListIfPresent(folder, 'modules.json');
  if (modules === undefined) return {};
  const where = join(folder, 'modules.json');
  const all = modules.map((m) => {
    const f = new Fields(m, where);
    // 'sentence_transformers.models.Pooling', or in newer files '....modules.pooling.Pooling'
    return { kind: f.text('type').split('.').at(-1)!, path: f.text('path', '') };
  });
  const unknown = all.find(({ kind }) => !['Transformer', 'Pooling', 'Normalize'].includes(kind));
  if (unknown !== undefined) {
    throw new AoError('ERR_AO_CONFIG', `${where}: the module ${unknown.kind} is not supported`, {
      fix: 'supported: Transformer, Pooling, Normalize',
    });
  }
  const pooling = all.find(({ kind }) => kind === 'Pooling');
  const own = await readJsonIfPresent(folder, 'sentence_bert_config.json');
  const length = new Fields(own ?? {}, join(folder, 'sentence_bert_config.json'));
  return {
    ...(pooling === undefined ? {} : { pooling: await readPooling(folder, pooling.path) }),
    normalize: all.some(({ kind }) => kind === 'Normalize'),
    ...(length.has('max_seq_length') ? { maxSeqLength: length.count('max_seq_length') } : {}),
  };
}

async function readPooling(folder: string, path: string): Promise<Pooling> {
  const json = await readJson(folder, join(path, 'config.json'), 'modules.json names it as the pooling');
  const f = new Fields(json, join(folder, path, 'config.json'));
  const named = f.has('pooling_mode') ? [f.text('pooling_mode')] : [];
  const flags = Object.keys(json).filter((key) => key.startsWith('pooling_mode_') && f.flag(key, false));
  const modes = [...named, ...flags.map((key) => key.slice('pooling_mode_'.length).replace(/_tokens?$/, ''))];
  const [mode] = modes;
  if (modes.length === 1 && POOLINGS.includes(mode as Pooling)) return mode as Pooling;
  throw new AoError('ERR_AO_CONFIG', `${f.where}: pooling by ${modes.join(' and ') || 'nothing'} is not supported`, {
    fix: `supported: one of ${POOLINGS.join(', ')}`,
  });
}
