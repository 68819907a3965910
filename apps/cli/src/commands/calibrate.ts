// ao quantize --algorithm: the whole model in memory in float32, calibrated on windows of a text, then saved.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AoError } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  calibrateModel,
  type TorchAoConfig,
  windowsOf,
} from '@ao/hf-integration';
import {
  type AoConfig,
  autoRound,
  awq,
  baseAlgorithm,
  type CalibrationAlgorithm,
  type CalibrationReport,
  gptq,
  readsData,
  rotate,
  smoothQuant,
  withHqq,
} from '@ao/quantization';
import { UsageError } from '../exit.ts';
import { log } from '../log.ts';
import { modelFolder } from '../model-folder.ts';
import { progress } from '../progress.ts';
import { readText } from '../read-text.ts';

export interface CalibrationOptions {
  readonly algorithm?: readonly string[];
  readonly calibration?: string;
  readonly calibrationWindows: number;
}

/** HQQ changes the scheme alone; what is left needs the model's own data. */
export function withoutHqq(
  names: readonly string[],
  config: TorchAoConfig,
): { names: string[]; config: TorchAoConfig } {
  if (!names.includes('hqq')) return { names: [...names], config };
  return { names: names.filter((n) => n !== 'hqq'), config: { ...config, quantType: withHqq(config.quantType) } };
}

function algorithmOf(names: readonly string[], config: AoConfig): CalibrationAlgorithm {
  const [first, ...rest] = names;
  if (first === undefined) return baseAlgorithm(config);
  if (first === 'gptq') return gptq(config);
  if (first === 'autoround') return autoRound(config);
  const base = rest.length > 0 ? algorithmOf(rest, config) : config;
  if (first === 'awq') return awq(base);
  return first === 'rotate' ? rotate(base) : smoothQuant(base);
}

export interface CalibrationJob extends CalibrationOptions {
  readonly model: string;
  readonly output: string;
  readonly config: TorchAoConfig;
  readonly names: readonly string[];
  readonly device: string;
  readonly overwrite?: boolean;
  readonly signal: AbortSignal;
}

export async function calibrateFolder(job: CalibrationJob): Promise<CalibrationReport> {
  const { model: name, output, config, names, device, signal, calibration } = job;
  const algorithm = algorithmOf(names, config.quantType);
  const reads = readsData(algorithm);
  if (reads && calibration === undefined) {
    throw new UsageError(`--algorithm ${names.join(',')} needs --calibration FILE: text like what the model will read`);
  }
  if (existsSync(join(output, 'config.json')) && !job.overwrite) {
    throw new AoError('ERR_AO_CONFIG', `${output} holds a model already`, {
      fix: 'give another folder, or allow overwriting',
    });
  }
  const bar = await progress();
  const use = names.includes('autoround') ? [autograd()] : [];
  const runtime = await autoRuntime({ device, log, use });
  try {
    const folder = await modelFolder(name, bar.update);
    const model = await AutoModelForCausalLM.fromPretrained(folder, {
      runtime,
      dtype: 'float32',
      onProgress: bar.update,
      signal,
    });
    const window = Math.min(512, model.maxPositions);
    const windows = reads ? await windowsOfText(folder, calibration as string, window, job.calibrationWindows) : [];
    const report = await calibrateModel(model, windows, algorithm, {
      window,
      quantizationConfig: config,
      onProgress: bar.update,
      signal,
    });
    await model.savePretrained(output, { onProgress: bar.update, signal });
    return report;
  } finally {
    bar.stop();
    await runtime.close();
  }
}

async function windowsOfText(folder: string, file: string, window: number, most: number): Promise<number[][]> {
  const text = await readText(file, '--calibration');
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  const windows = windowsOf(ids, Math.min(window, ids.length), most);
  if (windows.length > 0) return windows;
  throw new UsageError(`--calibration ${file} holds no text`);
}
