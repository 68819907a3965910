// ao train: a new model from a config.json or a preset, trained from the beginning.
import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM, AutoTokenizer } from '@ao/hf-integration';
import { modelFolder } from '../model-folder.ts';
import { full } from '../training/method.ts';
import type { TrainingOptions } from '../training/options.ts';
import { PRESETS } from '../training/presets.ts';
import { type QatFlags, qatMethod } from '../training/qat.ts';
import { runTraining } from '../training/run.ts';

interface Options extends TrainingOptions, QatFlags {
  readonly configName: string;
  readonly tokenizerName?: string;
}

const TOKENIZER = /^(tokenizer.*|special_tokens_map|added_tokens|vocab)\.json$|^(merges\.txt|chat_template\.jinja)$/;

export async function train(options: Options): Promise<void> {
  const { configName, tokenizerName = PRESETS[configName] === undefined ? configName : 'stories-7m' } = options;
  const tokenizer = await modelFolder(tokenizerName);
  // the folder that the new model comes from: its config, and the files of the tokenizer
  const base = await mkdtemp(join(tmpdir(), 'ao-train-'));
  try {
    for (const name of await readdir(tokenizer))
      if (TOKENIZER.test(name)) await copyFile(join(tokenizer, name), join(base, name));
    await writeConfig(configName, base);
    await runTraining(
      {
        method: options.qat === undefined ? full : qatMethod(options.qat),
        tokenizer: base,
        open: (runtime, checkpoint) =>
          checkpoint === undefined
            ? AutoModelForCausalLM.fromConfig(base, { runtime, seed: options.seed })
            : AutoModelForCausalLM.fromPretrained(checkpoint, { runtime, dtype: 'float32', trainable: true }),
      },
      options,
    );
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

async function writeConfig(name: string, base: string): Promise<void> {
  const preset = PRESETS[name];
  const to = join(base, 'config.json');
  if (preset === undefined) return copyFile(join(await modelFolder(name), 'config.json'), to);
  const tokenizer = await AutoTokenizer.fromPretrained(base);
  const ids = { bos_token_id: tokenizer.bosTokenId ?? null, eos_token_id: tokenizer.eosTokenId ?? null };
  const config = { ...preset, vocab_size: tokenizer.tokenBytes().length, ...ids };
  await writeFile(to, `${JSON.stringify(config, null, 2)}\n`);
}
