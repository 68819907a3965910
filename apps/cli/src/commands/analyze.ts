// ao analyze: what candidate schemes do to each layer of a model: SQNR of weights and outputs, KL of the predictions.
import { rename, writeFile } from 'node:fs/promises';
import { idBatches } from '@ao/hf-integration';
import {
  type Analysis,
  analysisToJson,
  analyze as analyzeModel,
  formatAnalysis,
  mixCandidates,
  parseScheme,
} from '@ao/quantization';
import { openModel } from '../open-model.ts';
import { print, printJson } from '../output.ts';
import { progress } from '../progress.ts';
import { readText } from '../read-text.ts';

export interface AnalyzeOptions {
  readonly scheme?: readonly string[];
  /** Without it, the errors of weights alone. */
  readonly text?: string;
  readonly tokens?: number;
  readonly kl?: 'all' | 'one' | 'none';
  readonly device: string;
  readonly threads?: number;
}

interface Options extends AnalyzeOptions {
  readonly output?: string;
  readonly json?: boolean;
}

/** Tokens a pass; longer texts are several. */
const WINDOW = 128;

export async function analyze(name: string, options: Options): Promise<void> {
  const analysis = await analysisOf(name, options);
  const json = analysisToJson(analysis);
  if (options.output !== undefined) await save(options.output, `${JSON.stringify(json)}\n`);
  if (options.json) printJson(json);
  else print(formatAnalysis(analysis));
}

/** Written beside its name, then renamed. */
export async function save(file: string, text: string): Promise<void> {
  await writeFile(`${file}.partial`, text);
  await rename(`${file}.partial`, file);
}

export async function analysisOf(name: string, options: AnalyzeOptions): Promise<Analysis> {
  const { scheme, text: file, tokens = 256, kl, device, threads } = options;
  const candidates = scheme === undefined ? mixCandidates() : scheme.map((s) => parseScheme(s));
  const text = file === undefined ? undefined : await readText(file);
  const { model, signal, tokenizer, close } = await openModel(name, {
    device,
    dtype: 'float32',
    ...(threads === undefined ? {} : { threads }),
    tokenizer: text !== undefined,
  });
  const bar = await progress();
  try {
    const ids = text === undefined ? [] : (await tokenizer()).encode(text).slice(0, tokens);
    const data = idBatches(model, ids, { window: WINDOW, windows: Math.ceil(tokens / WINDOW) });
    return await analyzeModel(model, data, {
      candidates,
      ...(kl === undefined ? {} : { kl }),
      onProgress: ({ done, total, fqn }) => bar.update({ phase: 'eval', name: fqn, loaded: done, total }),
      signal,
    });
  } finally {
    bar.stop();
    await close();
  }
}
