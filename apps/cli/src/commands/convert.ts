// ao convert: a model folder as another, disk to disk, one tensor at a time: floats in another dtype, quantized weights as
// floats again or in torchao's own layout, files of another size.
import { autoRuntime, convertCheckpoint } from '@ao/hf-integration';
import { interruptSignal, UsageError } from '../exit.ts';
import { log } from '../log.ts';
import { modelFolder } from '../model-folder.ts';
import { setThreads } from '../open-model.ts';
import { bytes, print, printJson } from '../output.ts';
import { progress } from '../progress.ts';
import { convertGguf, type GgufOptions } from './convert-gguf.ts';

interface Options {
  readonly output: string;
  readonly to: string;
  readonly dtype?: string;
  readonly dequantize?: boolean;
  readonly maxShardSize?: number;
  readonly overwrite?: boolean;
  readonly threads?: number;
  readonly json?: boolean;
}

/** Formats that people ask for and that are not written yet. */
const LATER: readonly string[] = ['gptq', 'awq', 'hqq', 'bnb', 'mlx', 'onnx', 'pytorch', 'bin'];

export async function convert(name: string, options: Options & GgufOptions): Promise<void> {
  if (options.to === 'gguf') return convertGguf(name, options);
  const { output, to, dtype, dequantize, maxShardSize, overwrite } = options;
  if (to !== 'safetensors' && to !== 'torchao') {
    const what = LATER.includes(to) ? `${to} cannot be written yet` : `${to} is no format that ao knows`;
    throw new UsageError(`${what}. Fix: leave --to out, for a folder of safetensors in Hugging Face’s layout.`);
  }
  const folder = await modelFolder(name);
  const signal = interruptSignal();
  setThreads(options.threads);
  const runtime = await autoRuntime({ log });
  const bar = await progress();
  try {
    const report = await convertCheckpoint(folder, output, {
      dtype,
      dequantize,
      to: to === 'torchao' ? to : undefined,
      maxShardSize,
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
    const { tensors, cast, dequantized, rewritten, bytesBefore, bytesAfter, files } = report;
    const kept = tensors - cast - dequantized - rewritten;
    const moved = rewritten === 0 ? '' : `, ${rewritten} in torchao’s layout`;
    print(`${tensors} tensors: ${cast} cast, ${dequantized} dequantized, ${kept} as they were${moved}`);
    const many = files.length === 1 ? '1 file' : `${files.length} files`;
    print(`${bytes(bytesBefore)} -> ${bytes(bytesAfter)} in ${many}, in ${output}`);
    for (const note of report.notes) print(note);
  } finally {
    bar.stop();
    await runtime.close();
  }
}
