// ao generate: text on stdout as it comes, of several prompts one after the other at the end; with --json one object.

import type { KVCacheFormat } from '@ao/hf-integration';
import { UsageError } from '../exit.ts';
import { type ModelOptions, openModel } from '../open-model.ts';
import { printJson } from '../output.ts';
import { type SamplingFlags, samplingOptions } from '../sampling.ts';

interface Options extends ModelOptions, SamplingFlags {
  readonly prompt?: readonly string[];
  readonly promptIds?: readonly number[];
  readonly chat?: boolean;
  readonly maxTokens: number;
  readonly stop?: readonly string[];
  readonly ignoreEos?: boolean;
  readonly kvCache?: KVCacheFormat;
  readonly json?: boolean;
}

export async function generate(name: string, options: Options): Promise<void> {
  if (options.prompt === undefined && options.promptIds === undefined) {
    throw new UsageError('generate needs --prompt TEXT or --prompt-ids 1,2,3');
  }
  const sampling = await samplingOptions(options);
  const { model, signal, tokenizer: load, close } = await openModel(name, { ...options, tokenizer: true });
  try {
    const tokenizer = await load();
    const prompts = await promptsOf(options, tokenizer);
    const { stop, ignoreEos, kvCache } = options;
    const input = {
      tokenizer,
      maxNewTokens: options.maxTokens,
      ...sampling,
      ...(stop === undefined ? {} : { stopStrings: stop }),
      ...(ignoreEos === undefined ? {} : { ignoreEos }),
      ...(kvCache === undefined ? {} : { kvCache }),
      signal,
    };
    if (prompts.length > 1 || options.sequences !== undefined) {
      const results = await model.generate(prompts, input);
      if (options.json) printJson({ sequences: results });
      else for (const { text } of results) process.stdout.write(`${text}\n`);
      return;
    }
    const run = model.generate(prompts[0]!, input);
    if (!options.json) for await (const { text } of run) process.stdout.write(text);
    const result = await run;
    if (options.json) printJson(result);
    else process.stdout.write('\n');
  } finally {
    await close();
  }
}

async function promptsOf(
  { prompt = [], promptIds, chat }: Options,
  tokenizer: Awaited<ReturnType<Awaited<ReturnType<typeof openModel>>['tokenizer']>>,
): Promise<readonly (readonly number[])[]> {
  if (promptIds) return [promptIds];
  if (!chat) return prompt.map((text) => tokenizer.encode(text));
  return Promise.all(
    prompt.map(async (content) => {
      const text = await tokenizer.applyChatTemplate([{ role: 'user', content }]);
      return tokenizer.encode(text, { addSpecialTokens: false });
    }),
  );
}
