// ao eval: cross entropy (nats per token) and perplexity of a text, or a task of lm-evaluation-harness on documents.
import { documentsOf, evaluate as evaluateModel, evaluateTask, type KVCacheFormat } from '@ao/hf-integration';
import { UsageError } from '../exit.ts';
import { type ModelOptions, openModel } from '../open-model.ts';
import { print, printJson } from '../output.ts';
import { progress } from '../progress.ts';
import { readText } from '../read-text.ts';

interface Options extends ModelOptions {
  readonly text?: string;
  readonly task?: string;
  readonly data?: string;
  readonly maxLength?: number;
  readonly limit?: number;
  readonly window: number;
  readonly windows?: number;
  readonly kvCache?: KVCacheFormat;
  readonly json?: boolean;
}

export async function evaluate(name: string, options: Options): Promise<void> {
  const { task, text, data } = options;
  if (task !== undefined && data === undefined) throw new UsageError(`--task ${task} needs --data FILE, its documents`);
  if (task === undefined && data !== undefined) throw new UsageError('--data needs --task');
  if (task === undefined && text === undefined) throw new UsageError('eval needs --text FILE, or --task and --data');
  const content = await (task === undefined ? readText(text!, '--text') : readText(data!, '--data'));
  const { model, signal, tokenizer: load, close } = await openModel(name, { ...options, tokenizer: true });
  const bar = await progress();
  try {
    const tokenizer = await load();
    if (task !== undefined) {
      const { maxLength, limit } = options;
      const result = await evaluateTask(model, tokenizer, task, documentsOf(content, data!), {
        where: data!,
        ...(maxLength === undefined ? {} : { maxLength }),
        ...(limit === undefined ? {} : { limit }),
        onProgress: bar.update,
        signal,
      });
      bar.stop();
      if (options.json) return printJson(result);
      const figures = Object.entries({ ...result.figures, documents: result.documents });
      for (const [figure, value] of figures) print(`${figure.padEnd(16)} ${Number(value.toFixed(5))}`);
      return;
    }
    const bos = model.origin?.generationConfig.bosTokenId ?? tokenizer.bosTokenId;
    const ids = [...(bos === undefined ? [] : [bos]), ...tokenizer.encode(content, { addSpecialTokens: false })];
    const { window, windows, kvCache } = options;
    const result = await evaluateModel(model, ids, {
      window,
      ...(windows === undefined ? {} : { windows }),
      ...(kvCache === undefined ? {} : { kvCache }),
      onProgress: bar.update,
      signal,
    });
    bar.stop();
    if (options.json) return printJson(result);
    const { crossEntropy, perplexity, tokens } = result;
    print(`cross entropy  ${crossEntropy.toFixed(5)} nats per token`);
    print(`perplexity     ${perplexity.toFixed(4)}`);
    print(`tokens         ${tokens}`);
  } finally {
    bar.stop();
    await close();
  }
}
