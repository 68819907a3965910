// convertCheckpoint(folder, output): a model folder as another, disk to disk, one tensor at a time: floats in another dtype,
// quantized weights as floats again or in torchao's own layout, files of another size. Tensors that stay as they are pass through in pieces. Memory: one
// tensor, as it is and as it becomes. The output appears whole.
import { resolve } from 'node:path';
import {
  AoError,
  cast,
  type Dense,
  type DType,
  dequantize,
  dtypeByName,
  dtypeBySafetensors,
  empty,
  type Runtime,
  scope,
  type Tensor,
  type TensorFile,
} from '@ao/core';
import { unflattenTensor } from '@ao/quantization';
import { autoRuntime } from '../auto-runtime.ts';
import { type ModelConfig, readModelConfig } from '../config/model-config.ts';
import type { Json } from '../config/read-json.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { type ConfigChanges, copyModelFiles, writeConfig } from '../files/model-files.ts';
import { piecesOf } from '../files/read-tensor.ts';
import { stage } from '../files/stage.ts';
import { PLAIN, readStored, type Stored, type Storing, storedTensors, storingPlain } from '../files/stored.ts';
import { type ShardOptions, writeShards } from '../files/write-shards.ts';
import { foreignQuantization } from '../foreign/read-foreign.ts';
import { families } from '../models/family.ts';
import type { OnProgress } from '../progress.ts';
import { restacked } from './restacked.ts';
import { asTorchao } from './torchao-form.ts';

export interface ConvertOptions extends ShardOptions {
  /** float32, bfloat16 or float16: what floating-point tensors become; unless given they stay. */
  readonly dtype?: string | undefined;
  /** Makes quantized weights floating point again. */
  readonly dequantize?: boolean | undefined;
  /** 'torchao': quantized weights in the layout that Python's torchao loads, where it has one; else an error naming the tensor. */
  readonly to?: 'torchao' | undefined;
  /** Replace the model that the output folder holds. */
  readonly overwrite?: boolean | undefined;
  readonly runtime?: Runtime;
  readonly device?: string;
}

export interface ConvertReport {
  readonly tensors: number;
  /** How many became another dtype. */
  readonly cast: number;
  /** How many were quantized and are floats now. */
  readonly dequantized: number;
  /** How many are in torchao's layout now and were in ours. */
  readonly rewritten: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly files: readonly string[];
  /** What of another library's checkpoint could not be kept as it is, and experts that torchao would not find together. */
  readonly notes: readonly string[];
}

/** What one tensor becomes; without `make` its bytes stay. */
interface Conversion {
  readonly storing: Storing;
  readonly make?: (t: Tensor, key: string) => Tensor;
  readonly stored: Stored;
}

const FLOATS = ['float32', 'bfloat16', 'float16'];

export async function convertCheckpoint(
  folder: string,
  output: string,
  options: ConvertOptions = {},
): Promise<ConvertReport> {
  const { signal } = options;
  const dtype = options.dtype === undefined ? undefined : floatOf(options.dtype);
  if (resolve(folder) === resolve(output)) throw error('the output folder is the model’s own', 'give another folder');
  const config = await readModelConfig(folder);
  const { json, where } = config;
  await using checkpoint = await openCheckpoint(folder);
  const { tensors: file } = checkpoint;
  const stored = storedTensors(file);
  check(folder, stored, options);
  const rt = options.runtime ?? (await autoRuntime({ device: options.device ?? 'auto' }));
  const staged = await stage(output, { overwrite: options.overwrite ?? false });
  try {
    const all = new Map<string, Conversion>();
    // torchao's metadata has the model's order; without it the file's will do
    const names = new Set([...Object.keys(file.metadata), ...stored.keys()]);
    const order = [...names].flatMap((name) => stored.get(name) ?? []);
    for (const s of order) all.set(s.name, await conversion(rt, file, s, dtype, options));
    const readOne = async function* (key: string, name: string): AsyncGenerator<Uint8Array> {
      const { make, stored: s } = all.get(name)!;
      if (make === undefined) yield* piecesOf(file, key);
      else yield await made(rt, file, s, (t) => make(t, key), signal);
    };
    const each = new Map([...all].map(([name, c]) => [name, c.storing]));
    const stacks = options.to === 'torchao' ? stacksOf(config) : {};
    const { storing, read, notes } = restacked(each, readOne, stacks);
    let bytesAfter = 0;
    const onProgress: OnProgress = (event) => {
      bytesAfter = event.loaded;
      options.onProgress?.(event);
    };
    const files = await writeShards(staged.folder, storing, read, { ...options, onProgress });
    await copyModelFiles(folder, staged.folder);
    await writeConfig(folder, staged.folder, {
      ...(dtype === undefined ? {} : { dtype: dtype.name, torch_dtype: undefined }),
      ...quantizationChanges(json, where, options.dequantize ?? false),
    });
    signal?.throwIfAborted();
    await staged.commit();
    const changed = [...all.values()].filter((c) => c.make !== undefined);
    const quantized = changed.filter((c) => c.stored.type !== PLAIN).length;
    const [dequantized, rewritten] = options.dequantize ? [quantized, 0] : [0, quantized];
    const bytesBefore = order.reduce((n, s) => n + s.nbytes, 0);
    return {
      tensors: all.size,
      cast: changed.length - quantized,
      dequantized,
      rewritten,
      bytesBefore,
      bytesAfter,
      files,
      notes: [...checkpoint.notes, ...notes],
    };
  } catch (cause) {
    await staged.abort();
    throw cause;
  } finally {
    if (!options.runtime) await rt.close();
  }
}

/** Names under which transformers has experts together; none of an architecture that is not known here. */
const stacksOf = (config: ModelConfig): Readonly<Record<string, readonly string[]>> =>
  families.find((f) => f.architectures.includes(config.architecture))?.outline(config).stacked ?? {};

/** What config.json says of weights that are floats again, or that were another library's. */
function quantizationChanges(json: Json, where: string, floats: boolean): ConfigChanges {
  const ours = foreignQuantization(json, where);
  if (!floats && ours === undefined) return {};
  const quantization_config = (floats ? undefined : ours) as ConfigChanges[string];
  return { quantization_config, quantization: undefined };
}

const error = (message: string, fix: string): AoError => new AoError('ERR_AO_CONFIG', message, { fix });

function floatOf(name: string): DType {
  if (FLOATS.includes(name)) return dtypeByName(name);
  throw error(`dtype '${name}' is none that a checkpoint is converted to`, `use one of ${FLOATS.join(', ')}`);
}

function check(
  folder: string,
  stored: ReadonlyMap<string, Stored>,
  { dtype, dequantize: floats, to }: ConvertOptions,
): void {
  const quantized = [...stored.values()].find((s) => s.type !== PLAIN);
  if (floats && quantized === undefined) {
    throw error(`${folder} is not quantized, there is nothing to dequantize`, 'leave dequantize out');
  }
  if (to === 'torchao' && (floats || quantized === undefined)) {
    const what = floats ? 'dequantize and to: torchao' : `${folder} is not quantized: to torchao`;
    throw error(`${what} do not go together`, 'leave to out: floats are the same for all');
  }
  if (dtype !== undefined && quantized !== undefined && !floats) {
    throw error(
      `${folder} is quantized (${quantized.name} is ${quantized.type}), and its scales belong to its dtype`,
      'dequantize as well, or quantize the converted float model',
    );
  }
}

async function conversion(
  rt: Runtime,
  file: TensorFile,
  stored: Stored,
  dtype: DType | undefined,
  { dequantize: floats = false, to }: ConvertOptions,
): Promise<Conversion> {
  const { name } = stored;
  const into = (from: DType): DType => (dtype !== undefined && FLOATS.includes(from.name) ? dtype : from);
  if (stored.type === PLAIN) {
    const { dtype: code, shape } = file.entry(name);
    const from = dtypeBySafetensors(code);
    const to = into(from);
    const storing = storingPlain(name, to.safetensors, shape);
    return to === from ? { storing, stored } : { storing, stored, make: (t) => cast(t, to) };
  }
  if (floats) {
    const [from, shape] = await withOutline(rt, file, stored, (t) => [t.dtype, t.shape] as const);
    const to = into(from);
    const storing = storingPlain(name, to.safetensors, shape);
    return { storing, stored, make: (t) => cast(dequantize(t), to) };
  }
  if (to === 'torchao') {
    const form = await withOutline(rt, file, stored, (t) => asTorchao(name, t));
    if (form.storing.metadata !== file.metadata[name]) return { ...form, stored };
  }
  const items = stored.keys.map((key) => ({ name: key, dtype: file.entry(key).dtype, shape: file.entry(key).shape }));
  return { storing: { items, metadata: file.metadata[name]! }, stored };
}

/** What `use` says of a quantized tensor by its shape, dtype and attributes: its kind reads them off parts that nothing was read into. */
async function withOutline<T>(rt: Runtime, file: TensorFile, stored: Stored, use: (t: Tensor) => T): Promise<T> {
  const parts = new Map<string, Dense>();
  for (const key of stored.keys) {
    const { dtype, shape } = file.entry(key);
    parts.set(key, empty(rt, shape, { dtype: dtypeBySafetensors(dtype), device: rt.device }));
  }
  try {
    using t = (await unflattenTensor(rt, stored.name, file.metadata, parts))!;
    return scope(() => use(t));
  } finally {
    for (const t of parts.values()) t.dispose();
  }
}

async function made(
  rt: Runtime,
  file: TensorFile,
  stored: Stored,
  make: (t: Tensor) => Tensor,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const raw = await readStored(rt, file, stored, { device: rt.device, signal });
  const converted = scope(() => make(raw)) as Dense;
  const bits = converted.bits();
  raw.dispose();
  converted.dispose();
  const { buffer, byteOffset, byteLength } = await bits;
  return new Uint8Array(buffer, byteOffset, byteLength);
}
