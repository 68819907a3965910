// --target-bpw: a mixed config of so many bits per weight, from an analysis that is given, made of a text, or of weights alone.
import { autoRuntime, type MixedConfig, mixedConfig } from '@ao/hf-integration';
import { analysisFromJson, configToFile } from '@ao/quantization';
import { type AnalyzeOptions, analysisOf } from './commands/analyze.ts';
import { interruptSignal, UsageError } from './exit.ts';
import { log } from './log.ts';
import { modelName } from './model-folder.ts';
import { readText } from './read-text.ts';

export interface TargetOptions extends AnalyzeOptions {
  readonly targetBpw?: number;
  /** What `ao analyze -o` wrote. */
  readonly analysis?: string;
}

/** The mix and its config as a file. */
export async function targetConfig(
  text: string,
  options: TargetOptions,
): Promise<MixedConfig & { readonly file: string }> {
  const { name, ...revision } = modelName(text);
  const analysis =
    options.analysis === undefined
      ? await analysisOf(text, { ...options, kl: options.kl ?? 'one' })
      : analysisFromJson(parsed(await readText(options.analysis), options.analysis));
  const runtime = await autoRuntime({ device: options.device, log });
  try {
    const targetBpw = options.targetBpw!;
    const mixed = await mixedConfig(name, analysis, {
      ...revision,
      targetBpw,
      runtime,
      signal: interruptSignal(),
      log,
    });
    return { ...mixed, file: configToFile(mixed.config, runtime) };
  } finally {
    await runtime.close();
  }
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`--analysis ${file} is no JSON: ${(cause as Error).message}`, { cause });
  }
}
