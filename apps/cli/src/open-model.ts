// openModel(name, options): the runtime, the model and its tokenizer that generate, eval and bench run on.
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime, type CausalLM, type Tokenizer } from '@ao/hf-integration';
import { interruptSignal } from './exit.ts';
import { log } from './log.ts';
import { modelFolder } from './model-folder.ts';
import { progress } from './progress.ts';
import { quantizationConfig, type SchemeOptions } from './scheme.ts';

export interface ModelOptions extends SchemeOptions {
  readonly dtype: string;
  readonly device: string;
  readonly threads?: number;
}

export interface OpenOptions extends ModelOptions {
  /** Text goes in or out: the tokenizer is made while weights load. */
  readonly tokenizer: boolean;
}

export interface Opened {
  readonly folder: string;
  readonly model: CausalLM;
  readonly signal: AbortSignal;
  tokenizer(): Promise<Tokenizer>;
  close(): Promise<void>;
}

export function setThreads(threads: number | undefined): void {
  if (threads !== undefined) process.env['AO_NUM_THREADS'] = String(threads);
}

export async function openModel(name: string, options: OpenOptions): Promise<Opened> {
  const folder = modelFolder(name);
  // made behind the backend, which has its work queued once the first weight is there; a failure is told to who asks
  let tokenizer: Promise<Tokenizer> | undefined;
  const makeTokenizer = (): Promise<Tokenizer> => {
    tokenizer ??= AutoTokenizer.fromPretrained(folder);
    tokenizer.catch(() => {});
    return tokenizer;
  };
  const signal = interruptSignal();
  setThreads(options.threads);
  const config = await quantizationConfig(folder, options);
  const runtime = await autoRuntime({ device: options.device, log });
  const bar = await progress();
  try {
    const model = await AutoModelForCausalLM.fromPretrained(folder, {
      runtime,
      device: options.device,
      dtype: options.dtype,
      ...(config === undefined ? {} : { quantizationConfig: config }),
      onProgress: (event) => {
        bar.update(event);
        if (options.tokenizer) void makeTokenizer();
      },
      signal,
    });
    const close = async (): Promise<void> => {
      model.dispose();
      await runtime.close();
    };
    return { folder, model, signal, tokenizer: makeTokenizer, close };
  } catch (error) {
    await runtime.close();
    throw error;
  } finally {
    bar.stop();
  }
}
