// ao recommend: a config for a model, by the memory and work it is for, or by bits per weight.
import { autoRuntime, type RecommendTask, recommend as recommendConfig } from '@ao/hf-integration';
import { interruptSignal } from '../exit.ts';
import { log } from '../log.ts';
import { modelName } from '../model-folder.ts';
import { bytes, print, printJson } from '../output.ts';
import { type TargetOptions, targetConfig } from '../target.ts';
import { save } from './analyze.ts';

interface Options extends TargetOptions {
  readonly memory?: number;
  readonly task?: RecommendTask;
  readonly context?: number;
  readonly output?: string;
  readonly json?: boolean;
}

export async function recommend(text: string, options: Options): Promise<void> {
  const { json, output } = options;
  const found = options.targetBpw === undefined ? await byMemory(text, options) : await byBits(text, options);
  if (output !== undefined) await save(output, found.file);
  if (json) printJson(found.result);
  else {
    for (const line of found.lines) print(line);
    print();
    print(
      output === undefined
        ? found.file.trimEnd()
        : `written to ${output}: ao quantize ${text} --config ${output} -o FOLDER`,
    );
  }
}

interface Found {
  readonly file: string;
  readonly lines: readonly string[];
  readonly result: unknown;
}

async function byMemory(text: string, { memory, task, context, device }: Options): Promise<Found> {
  const { name, ...revision } = modelName(text);
  const runtime = await autoRuntime({ device, log });
  try {
    const result = await recommendConfig(name, {
      ...revision,
      ...(memory === undefined ? {} : { memory }),
      ...(task === undefined ? {} : { task }),
      ...(context === undefined ? {} : { contextLength: context }),
      runtime,
      signal: interruptSignal(),
      log,
    });
    const { scheme, totalBytes, kvCache, reasons, considered, file } = result;
    return {
      file,
      lines: reasons,
      result: { scheme, totalBytes, memory: result.memory, kvCache, reasons, considered, file },
    };
  } finally {
    await runtime.close();
  }
}

async function byBits(text: string, options: Options): Promise<Found> {
  const mixed = await targetConfig(text, options);
  const { file, bitsPerWeight, schemes, range } = mixed;
  const counts = Object.entries(schemes).map(([scheme, n]) => `${n} x ${scheme}`);
  const [least, most] = range.map((n) => n.toFixed(2));
  const lines = [
    `${bitsPerWeight.toFixed(3)} bits per weight, ${bytes(mixed.bytes)}: ${counts.join(', ')}`,
    `these candidates reach ${least} to ${most}`,
  ];
  const { config: _, ...result } = mixed;
  return { file, lines, result };
}
