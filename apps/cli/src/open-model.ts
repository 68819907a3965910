// openModel(name, options): the runtime, the model and its tokenizer that generate, eval and bench run on.
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime, type CausalLM, type Tokenizer } from '@ao/hf-integration';
import { interruptSignal } from './exit.ts';
import { modelFolder } from './model-folder.ts';
import { progress } from './progress.ts';
import { quantizationConfig } from './scheme.ts';

export interface ModelOptions {
  readonly scheme?: string;
  readonly rule?: readonly string[];
  readonly dtype?: string;
  readonly device: string;
  readonly threads?: number;
}

export interface Opened {
  readonly folder: string;
  readonly model: CausalLM;
  readonly signal: AbortSignal;
  tokenizer(): Promise<Tokenizer>;
  close(): Promise<void>;
}

export async function openModel(name: string, options: ModelOptions): Promise<Opened> {
  const folder = modelFolder(name);
  const signal = interruptSignal();
  if (options.threads !== undefined) process.env['AO_NUM_THREADS'] = String(options.threads);
  const config = quantizationConfig(options);
  const runtime = await autoRuntime({ device: options.device, log: ({ message }) => process.stderr.write(`ao: ${message}\n`) });
  const bar = progress();
  try {
    const model = await AutoModelForCausalLM.fromPretrained(folder, {
      runtime,
      device: options.device,
      ...(config === undefined ? {} : { quantizationConfig: config }),
      ...(options.dtype === undefined ? { computeDtype: 'float32' } : { dtype: options.dtype }),
      onProgress: bar.update,
      signal,
    });
    const close = async (): Promise<void> => {
      model.dispose();
      await runtime.close();
    };
    return { folder, model, signal, tokenizer: () => AutoTokenizer.fromPretrained(folder), close };
  } catch (error) {
    await runtime.close();
    throw error;
  } finally {
    bar.stop();
  }
}
