// ao demo: the bundled model as float, int8 and int4: size, perplexity, speed; then a story from the int4 model.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { evaluate } from '@ao/hf-integration';
import { modelBytes } from '@ao/quantization';
import { type Opened, openModel } from '../open-model.ts';
import { bytes, print, printJson, rate, table } from '../output.ts';

const MODEL = 'stories-7m';
const VARIANTS = [
  { name: 'float', scheme: undefined },
  { name: 'int8', scheme: 'int8wo' },
  { name: 'int4', scheme: 'int4wo-32' },
] as const;

const WINDOWS = 8;
const SPEED_TOKENS = 128;
const OPENING = '<|end|>Once upon a time, there was a little fox';

interface Row {
  readonly name: string;
  readonly scheme: string;
  readonly weightBytes: number;
  readonly perplexity: number;
  readonly decodeTokensPerSecond: number;
}

export async function demo(options: { readonly threads?: number; readonly json?: boolean }): Promise<void> {
  const rows: Row[] = [];
  let story = '';
  for (const { name, scheme } of VARIANTS) {
    const opened = await openModel(MODEL, {
      dtype: 'float32',
      tokenizer: true,
      device: 'auto',
      ...(scheme === undefined ? {} : { scheme }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
    try {
      rows.push({ name, scheme: scheme ?? 'bfloat16', ...(await measure(opened)) });
      if (name !== 'int4') continue;
      if (!options.json) print(comparison(rows));
      story = await tell(opened, options.json ?? false);
    } finally {
      await opened.close();
    }
  }
  if (options.json) printJson({ variants: rows, story });
}

async function measure({ folder, model, signal, tokenizer: load }: Opened): Promise<Omit<Row, 'name' | 'scheme'>> {
  const tokenizer = await load();
  const text = await readFile(join(folder, 'validation.txt'), 'utf8');
  const ids = [0, ...tokenizer.encode(text.slice(0, 6 * 512 * WINDOWS), { addSpecialTokens: false })];
  const { perplexity } = await evaluate(model, ids, { windows: WINDOWS, signal });
  const run = await model.generate(ids.slice(0, 16), {
    maxNewTokens: SPEED_TOKENS,
    temperature: 0,
    ignoreEos: true,
    signal,
  });
  return { weightBytes: modelBytes(model), perplexity, decodeTokensPerSecond: run.decodeTokensPerSecond };
}

function comparison(rows: readonly Row[]): string {
  const cells = rows.map((r) => [
    r.name,
    r.scheme,
    bytes(r.weightBytes),
    r.perplexity.toFixed(3),
    rate(r.decodeTokensPerSecond),
  ]);
  return table(['model', 'weights', 'size', 'perplexity', 'tokens/s'], cells);
}

async function tell({ model, signal, tokenizer: load }: Opened, silent: boolean): Promise<string> {
  const tokenizer = await load();
  const run = model.generate(OPENING, { tokenizer, maxNewTokens: 200, temperature: 0.8, topP: 0.9, seed: 4, signal });
  const opening = tokenizer.decode(tokenizer.encode(OPENING));
  if (!silent) {
    print('\nA story from the int4 model:\n');
    process.stdout.write(opening);
  }
  let story = opening;
  for await (const { text } of run) {
    story += text;
    if (!silent) process.stdout.write(text);
  }
  if (!silent) print();
  return story;
}
