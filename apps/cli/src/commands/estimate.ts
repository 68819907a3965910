// ao estimate: the memory that a model will take, by scheme, before its weights are downloaded.
import { type Estimate, estimate as estimateModel, type TorchAoConfig } from '@ao/hf-integration';
import { interruptSignal } from '../exit.ts';
import { log } from '../log.ts';
import { modelName } from '../model-folder.ts';
import { bytes, print, printJson, table } from '../output.ts';
import { quantizationConfig } from '../scheme.ts';

interface Options {
  readonly scheme?: readonly string[];
  readonly rule?: readonly string[];
  readonly context?: number;
  readonly dtype: string;
  readonly revision?: string;
  readonly json?: boolean;
}

const PLAIN = 'as it is';

export async function estimate(text: string, options: Options): Promise<void> {
  const { scheme = [], rule, context, dtype, revision } = options;
  const model = { ...modelName(text), ...(revision !== undefined && { revision }) };
  const schemes: Record<string, TorchAoConfig | null> = { [PLAIN]: null };
  const rules = rule === undefined ? {} : { rule };
  if (rule !== undefined && scheme.length === 0) schemes['rules'] = (await quantizationConfig(model, rules))!;
  for (const name of scheme) schemes[name] = (await quantizationConfig(model, { scheme: name, ...rules }))!;
  const found = await estimateModel(model.name, {
    ...model,
    schemes,
    dtype,
    ...(context !== undefined && { contextLength: context }),
    signal: interruptSignal(),
    log,
  });
  if (options.json) printJson(found);
  else printEstimate(found);
}

function printEstimate(found: Estimate): void {
  const { architecture, parameters, contextLength, kvCacheBytes, memoryBytes, freeBytes } = found;
  const caches = Object.keys(kvCacheBytes);
  const rows = found.schemes.map((s) => [
    s.scheme,
    bytes(s.diskBytes),
    bytes(s.weightBytes),
    ...caches.map((cache) => bytes(s.totalBytes[cache]!)),
    s.fits ? 'yes' : 'no',
  ]);
  print(table(['scheme', 'file', 'weights', ...caches.map((cache) => `total, kv ${cache}`), 'fits'], rows));
  print();
  print(`${architecture}, ${(parameters / 1e6).toFixed(1)} M parameters, activations in ${found.dtype}`);
  const kv = caches.map((cache) => `${cache} ${bytes(kvCacheBytes[cache]!)}`).join(', ');
  print(`keys and values of ${contextLength} tokens: ${kv}`);
  print(`reading a prompt: ${bytes(found.promptBytes)}; the process itself: ${bytes(found.processBytes)}`);
  print(`this machine: ${bytes(memoryBytes)} of memory, ${bytes(freeBytes)} of it free`);
}
