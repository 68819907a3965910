// openModel(name, options): the runtime, the model and its tokenizer that generate, eval, bench and embed run on.
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  type CausalLM,
  type DeviceMap,
  type FromPretrainedOptions,
  type PretrainedModel,
  type Tokenizer,
} from '@ao/hf-integration';
import { interruptSignal } from './exit.ts';
import { log } from './log.ts';
import { modelFolder } from './model-folder.ts';
import { progress } from './progress.ts';
import { quantizationConfig, type SchemeOptions } from './scheme.ts';

export interface ModelOptions extends SchemeOptions {
  readonly dtype: string;
  readonly device: string;
  readonly deviceMap?: DeviceMap;
  readonly threads?: number;
}

export interface OpenOptions extends ModelOptions {
  /** Text goes in or out: the tokenizer is made while weights load. */
  readonly tokenizer: boolean;
}

export interface Opened<M extends PretrainedModel = CausalLM> {
  readonly folder: string;
  readonly model: M;
  readonly signal: AbortSignal;
  tokenizer(): Promise<Tokenizer>;
  close(): Promise<void>;
}

export function setThreads(threads: number | undefined): void {
  if (threads !== undefined) process.env['AO_NUM_THREADS'] = String(threads);
}

/** What loads the model: AutoModelForCausalLM, or another. */
export interface Auto<M extends PretrainedModel> {
  fromPretrained(folder: string, options: FromPretrainedOptions): Promise<M>;
}

export function openModel(name: string, options: OpenOptions): Promise<Opened>;
export function openModel<M extends PretrainedModel>(
  name: string,
  options: OpenOptions,
  auto: Auto<M>,
): Promise<Opened<M>>;
export async function openModel(
  name: string,
  options: OpenOptions,
  auto: Auto<PretrainedModel> = AutoModelForCausalLM,
): Promise<Opened<PretrainedModel>> {
  const bar = await progress();
  const folder = await modelFolder(name, bar.update).finally(bar.stop);
  // made behind the backend, which has its work queued once the first weight is there; a failure is told to who asks
  let tokenizer: Promise<Tokenizer> | undefined;
  const makeTokenizer = (): Promise<Tokenizer> => {
    tokenizer ??= AutoTokenizer.fromPretrained(folder);
    tokenizer.catch(() => {});
    return tokenizer;
  };
  const signal = interruptSignal();
  setThreads(options.threads);
  const config = await quantizationConfig({ name: folder }, options);
  const { device, deviceMap } = options;
  const runtime = await autoRuntime({ device, ...(deviceMap && { devices: 'all' }), log });
  try {
    const model = await auto.fromPretrained(folder, {
      runtime,
      ...(deviceMap === undefined ? { device } : { deviceMap }),
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
