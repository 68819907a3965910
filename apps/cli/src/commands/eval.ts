// ao eval: cross entropy (nats per token) and perplexity of a text.
import { readFile } from 'node:fs/promises';
import { evaluate as evaluateModel } from '@ao/hf-integration';
import { UsageError } from '../exit.ts';
import { type ModelOptions, openModel } from '../open-model.ts';
import { print, printJson } from '../output.ts';
import { progress } from '../progress.ts';

interface Options extends ModelOptions {
  readonly text: string;
  readonly window: number;
  readonly windows?: number;
  readonly json?: boolean;
}

export async function evaluate(name: string, options: Options): Promise<void> {
  const text = await readFile(options.text, 'utf8').catch((error: Error) => {
    throw new UsageError(`--text ${options.text} cannot be read: ${error.message}`, { cause: error });
  });
  const { model, signal, tokenizer: load, close } = await openModel(name, { ...options, tokenizer: true });
  const bar = await progress();
  try {
    const tokenizer = await load();
    const bos = model.origin?.generationConfig.bosTokenId ?? tokenizer.bosTokenId;
    const ids = [...(bos === undefined ? [] : [bos]), ...tokenizer.encode(text, { addSpecialTokens: false })];
    const { window, windows } = options;
    const result = await evaluateModel(model, ids, {
      window,
      ...(windows === undefined ? {} : { windows }),
      onProgress: bar.update,
      signal,
    });
    bar.stop();
    if (options.json) printJson(result);
    else {
      const { crossEntropy, perplexity, tokens } = result;
      print(`cross entropy  ${crossEntropy.toFixed(5)} nats per token`);
      print(`perplexity     ${perplexity.toFixed(4)}`);
      print(`tokens         ${tokens}`);
    }
  } finally {
    bar.stop();
    await close();
  }
}
