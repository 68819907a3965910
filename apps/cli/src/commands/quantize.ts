// ao quantize: disk to disk, one tensor at a time; prints the report.
import { autoRuntime, dryRun, quantizeCheckpoint, type TorchAoConfig, torchAoConfig } from '@ao/hf-integration';
import { noteOf, type QuantizeReport, schemeHelp } from '@ao/quantization';
import { interruptSignal, UsageError } from '../exit.ts';
import { log } from '../log.ts';
import { modelFolder, modelName } from '../model-folder.ts';
import { setThreads } from '../open-model.ts';
import { bytes, print, printJson, table } from '../output.ts';
import { progress } from '../progress.ts';
import { quantizationConfig, type SchemeOptions } from '../scheme.ts';
import { targetConfig } from '../target.ts';
import { type CalibrationOptions, calibrateFolder, withoutHqq } from './calibrate.ts';

interface Options extends SchemeOptions, CalibrationOptions {
  readonly targetBpw?: number;
  readonly text?: string;
  readonly analysis?: string;
  readonly tokens?: number;
  readonly output?: string;
  readonly dryRun?: boolean;
  readonly overwrite?: boolean;
  readonly device: string;
  readonly threads?: number;
  readonly json?: boolean;
}

export async function quantize(name: string, options: Options): Promise<void> {
  const { output, device } = options;
  const model = modelName(name);
  if (output === undefined && !options.dryRun) throw new UsageError('quantize needs -o FOLDER, or --dry-run');
  const asked = await configOf(name, options);
  if (asked === undefined) {
    throw new UsageError(
      `quantize needs --scheme, --rule, --config or --target-bpw. Schemes:\n  ${schemeHelp().join('\n  ')}`,
    );
  }
  const { names, config } = withoutHqq(options.algorithm ?? [], asked);
  const signal = interruptSignal();
  setThreads(options.threads);
  if (names.length > 0 && !options.dryRun) {
    const report = await calibrateFolder({ ...options, model: name, output: output!, config, names, signal });
    if (options.json) printJson(report);
    else printReport(report, output);
    return;
  }
  const runtime = await autoRuntime({ device, log });
  const bar = await progress();
  try {
    const report = options.dryRun
      ? await dryRun(model.name, config, runtime, { ...model, signal, log })
      : await quantizeCheckpoint(await modelFolder(name, bar.update), output!, {
          quantizationConfig: config,
          runtime,
          device,
          overwrite: options.overwrite ?? false,
          onProgress: bar.update,
          signal,
        });
    bar.stop();
    if (options.json) printJson(report);
    else printReport(report, options.dryRun ? undefined : output);
  } finally {
    bar.stop();
    await runtime.close();
  }
}

/** Of --scheme and --rule, --config, or --target-bpw. */
async function configOf(name: string, options: Options): Promise<TorchAoConfig | undefined> {
  const { targetBpw, scheme, rule, config, ...analysis } = options;
  if (targetBpw === undefined) return quantizationConfig(modelName(name), options);
  if (scheme !== undefined || rule !== undefined || config !== undefined) {
    throw new UsageError('--target-bpw chooses schemes by itself: leave --scheme, --rule and --config out');
  }
  const mixed = await targetConfig(name, { ...analysis, targetBpw });
  log({ message: `a mix of ${mixed.bitsPerWeight.toFixed(3)} bits per weight` });
  return torchAoConfig(mixed.config);
}

function printReport({ rows, bytesBefore, bytesAfter }: QuantizeReport, output: string | undefined): void {
  const cells = rows.map((r) => [
    r.fqn.replace(/\.weight$/, ''),
    r.scheme ?? '-',
    r.activation,
    r.shape.join(' x '),
    bytes(r.bytesBefore),
    bytes(r.bytesAfter),
    r.bitsPerWeight.toFixed(2),
    r.sqnr === null ? '' : r.sqnr.toFixed(1),
    [...(r.tied.length > 0 ? [`= ${r.tied.join(', ')}`] : []), noteOf(r)].join('; ').replace(/; $/, ''),
  ]);
  print(table(['module', 'scheme', 'activation', 'shape', 'before', 'after', 'bits/weight', 'SQNR dB', 'note'], cells));
  print();
  const share = `${bytes(bytesBefore)} -> ${bytes(bytesAfter)} (${((100 * bytesAfter) / bytesBefore).toFixed(1)}%)`;
  print(`${share}${output === undefined ? ', nothing was written' : `, in ${output}`}`);
}
