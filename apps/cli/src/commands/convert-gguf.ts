// ao convert --to gguf: a model folder as one GGUF, for llama.cpp and what is built on it.
import { autoRuntime, convertToGguf, ggufTypes } from '@ao/hf-integration';
import { interruptSignal, UsageError } from '../exit.ts';
import { log } from '../log.ts';
import { modelFolder } from '../model-folder.ts';
import { setThreads } from '../open-model.ts';
import { bytes, print, printJson } from '../output.ts';
import { progress } from '../progress.ts';

export interface GgufOptions {
  readonly output: string;
  readonly ggufType?: string;
  readonly overwrite?: boolean;
  readonly threads?: number;
  readonly json?: boolean;
}

export async function convertGguf(name: string, options: GgufOptions): Promise<void> {
  const { output, ggufType, overwrite } = options;
  if (ggufType === undefined) throw new UsageError(`--to gguf needs --gguf-type, one of ${ggufTypes.join(', ')}`);
  if (!/\.gguf$/i.test(output)) throw new UsageError(`--to gguf writes one file: give -o NAME.gguf, not ${output}`);
  const folder = await modelFolder(name);
  const signal = interruptSignal();
  setThreads(options.threads);
  const runtime = await autoRuntime({ log });
  const bar = await progress();
  try {
    const report = await convertToGguf(folder, output, {
      type: ggufType,
      overwrite,
      runtime,
      onProgress: bar.update,
      signal,
    });
    bar.stop();
    if (options.json) {
      printJson(report);
      return;
    }
    const types = Object.entries(report.types).map(([type, count]) => `${count} ${type}`);
    print(`${types.join(', ')}: ${bytes(report.bytesBefore)} -> ${bytes(report.bytesAfter)}, ${output}`);
    for (const note of report.notes) print(`note: ${note}`);
  } finally {
    bar.stop();
    await runtime.close();
  }
}
