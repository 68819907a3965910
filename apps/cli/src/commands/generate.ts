// ao generate: text on stdout as it comes; with --json one object at the end.

import { UsageError } from '../exit.ts';
import { type ModelOptions, openModel } from '../open-model.ts';
import { printJson } from '../output.ts';

interface Options extends ModelOptions {
  readonly prompt?: string;
  readonly promptIds?: readonly number[];
  readonly chat?: boolean;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly ignoreEos?: boolean;
  readonly json?: boolean;
}

export async function generate(name: string, options: Options): Promise<void> {
  if (options.prompt === undefined && options.promptIds === undefined) {
    throw new UsageError('generate needs --prompt TEXT or --prompt-ids 1,2,3');
  }
  const { model, signal, tokenizer: load, close } = await openModel(name, options);
  try {
    const tokenizer = await load();
    const prompt = await promptOf(options, tokenizer);
    const { temperature, topK, topP, seed, stop, ignoreEos } = options;
    const run = model.generate(prompt, {
      tokenizer,
      maxNewTokens: options.maxTokens,
      ...(temperature === undefined ? {} : { temperature }),
      ...(topK === undefined ? {} : { topK }),
      ...(topP === undefined ? {} : { topP }),
      ...(seed === undefined ? {} : { seed }),
      ...(stop === undefined ? {} : { stopStrings: stop }),
      ...(ignoreEos === undefined ? {} : { ignoreEos }),
      signal,
    });
    if (!options.json) for await (const { text } of run) process.stdout.write(text);
    const result = await run;
    if (options.json) {
      const { promptIds, ids, text, prefillTokensPerSecond, decodeTokensPerSecond } = result;
      printJson({ promptIds, ids, text, prefillTokensPerSecond, decodeTokensPerSecond });
    } else process.stdout.write('\n');
  } finally {
    await close();
  }
}

async function promptOf(
  { prompt, promptIds, chat }: Options,
  tokenizer: Awaited<ReturnType<Awaited<ReturnType<typeof openModel>>['tokenizer']>>,
): Promise<readonly number[]> {
  if (promptIds) return promptIds;
  if (!chat) return tokenizer.encode(prompt!);
  const text = await tokenizer.applyChatTemplate([{ role: 'user', content: prompt! }]);
  return tokenizer.encode(text, { addSpecialTokens: false });
}
