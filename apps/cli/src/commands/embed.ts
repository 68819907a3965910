// ao embed: a vector for each text, one JSON array a line in the texts' order; with --json one object. Without texts it reads
// lines from stdin and writes as it goes.
import { createInterface } from 'node:readline';
import { AutoModel, type EmbedInput, type Pooling, TextEncoder } from '@ao/hf-integration';
import { UsageError } from '../exit.ts';
import { type ModelOptions, openModel } from '../open-model.ts';
import { printJson } from '../output.ts';

interface Options extends ModelOptions {
  readonly pooling?: Pooling;
  readonly normalize?: boolean;
  readonly batchSize: number;
  readonly maxLength?: number;
  readonly json?: boolean;
}

/** Lines of stdin that are embedded together: enough that batches have texts of like lengths. */
const LINES = 512;

export async function embed(name: string, texts: readonly string[], options: Options): Promise<void> {
  if (texts.length === 0 && process.stdin.isTTY) {
    throw new UsageError('embed needs texts, or lines on stdin: ao embed MODEL "a text" or ao embed MODEL < FILE');
  }
  const { model, signal, tokenizer, close } = await openModel(name, { ...options, tokenizer: true }, AutoModel);
  try {
    if (!(model instanceof TextEncoder))
      throw new UsageError(`${name} is a model of images, embed takes texts: use AutoModel of @ao/hf-integration`);
    const { pooling, normalize, batchSize, maxLength } = options;
    const input: EmbedInput = {
      tokenizer: await tokenizer(),
      batchSize,
      signal,
      ...(pooling === undefined ? {} : { pooling }),
      ...(normalize === undefined ? {} : { normalize }),
      ...(maxLength === undefined ? {} : { maxLength }),
    };
    const embeddings: number[][] = [];
    for await (const part of texts.length > 0 ? [texts] : lines()) {
      const vectors = (await model.embed(part, input)).map((v) => Array.from(v, digits));
      if (options.json) embeddings.push(...vectors);
      else for (const v of vectors) process.stdout.write(`${JSON.stringify(v)}\n`);
    }
    if (options.json) printJson({ dimensions: model.hiddenSize, embeddings });
  } finally {
    await close();
  }
}

async function* lines(): AsyncGenerator<readonly string[]> {
  let part: string[] = [];
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    part.push(line);
    if (part.length < LINES) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** A float32 has 9 digits; more would be those of its neighbour in float64. */
const digits = (x: number): number => Number(x.toPrecision(9));
