// convertToGguf(name, output): a model folder as one GGUF, disk to disk, one tensor at a time. Matrices get the type that is asked
// for; where their rows are no whole blocks of it, or they are the embedding or head under a type of 4 bits, a wider one.
// Vectors and routers are float32. Quantized weights are dequantized first. The file appears whole.
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import {
  AoError,
  bfloat16,
  cast,
  type Dense,
  dequantize,
  float16,
  float32,
  type Runtime,
  scope,
  slice,
  type Tensor,
  type TensorFile,
} from '@ao/core';
import { autoRuntime } from '../auto-runtime.ts';
import { type ModelConfig, readModelConfig } from '../config/model-config.ts';
import { readJsonIfPresent } from '../config/read-json.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { createFile } from '../files/node-file.ts';
import { PLAIN, readStored, type Stored, storedTensors } from '../files/stored.ts';
import type { HubOptions } from '../hub/options.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { checkNames } from '../load/check-names.ts';
import { familyOf, type ParameterSpec } from '../models/family.ts';
import { readChatTemplates } from '../tokenizer/read-chat-templates.ts';
import { blockEncoders } from './encode-blocks.ts';
import { kBlockEncoders } from './encode-k-blocks.ts';
import { type GgmlType, ggmlBytes, ggmlType } from './ggml-types.ts';
import { type GgufItem, type GgufPair, ggufHead } from './gguf-head.ts';
import { ggufMetadata } from './metadata-to-gguf.ts';
import { alternatedRow, alternatingHeads, expertOf, type GgufNames, ggufNames, toGgufName } from './names.ts';
import { ggufTokens } from './tokenizer-to-gguf.ts';

/** Types that are written, with llama.cpp's number of a file of them. */
const FILE_TYPES: Readonly<Record<string, number>> = {
  F32: 0,
  F16: 1,
  BF16: 32,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q4_K: 14,
  Q6_K: 18,
};

export const ggufTypes: readonly string[] = /*@__PURE__*/ Object.freeze([
  'q4_0',
  'q4_1',
  'q8_0',
  'q4_k',
  'q6_k',
  'bf16',
  'f16',
  'f32',
]);

export interface ConvertToGgufOptions extends HubOptions {
  /** Of matrices: one of ggufTypes. */
  readonly type: string;
  /** Replace a file that is there. */
  readonly overwrite?: boolean | undefined;
  readonly runtime?: Runtime;
}

export interface ConvertToGgufReport {
  /** How many tensors have each type. */
  readonly types: Readonly<Record<string, number>>;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** What GGUF cannot say of the model. */
  readonly notes: readonly string[];
}

/** A tensor of the GGUF, made of one parameter or of all experts'. */
interface Item extends GgufItem {
  readonly parameters: readonly ParameterSpec[];
}

/** Values that JavaScript holds at a time. */
const PIECE = 1 << 20;

export async function convertToGguf(
  name: string,
  output: string,
  options: ConvertToGgufOptions,
): Promise<ConvertToGgufReport> {
  const { signal, onProgress } = options;
  const asked = typeOf(options.type);
  if (existsSync(output) && !options.overwrite) {
    throw new AoError('ERR_AO_CONFIG', `${output} is there already`, {
      fix: 'give another name, or allow overwriting',
    });
  }
  const folder = await resolveModel(name, 'model', options);
  const config = await readModelConfig(folder);
  const family = familyOf(config);
  const outline = family.outline(config);
  const names = ggufNames(config.modelType, config.where);
  await using checkpoint = await openCheckpoint(folder, outline);
  const { tensors } = checkpoint;
  const stored = storedTensors(tensors);
  const shapes = new Map(outline.parameters.map((p) => [p.name, p.shape]));
  const shapeOf = (s: Stored): readonly number[] =>
    s.type === PLAIN ? tensors.entry(s.name).shape : (shapes.get(s.name) ?? []);
  checkNames(family, outline, new Map([...stored.values()].map((s) => [s.name, shapeOf(s)])), folder);
  const parameters = outline.parameters.filter((p) => stored.has(p.name));
  const vocab = parameters.find((p) => p.name === 'model.embed_tokens.weight')?.shape[0] ?? 0;
  const { pairs, tables, notes, heads } = ggufMetadata(config, names, {
    name: basename(name),
    fileType: FILE_TYPES[asked.name]!,
    vocabSize: vocab,
  });
  const items = [...itemsOf(parameters, names, asked), ...tableItems(tables)];
  const layout = ggufHead([...pairs, ...(await tokensOf(folder, config, vocab))], items);
  const rt = options.runtime ?? (await autoRuntime());
  const sink = await createFile(output);
  try {
    await sink.writeAt(0, layout.head);
    let loaded = 0;
    for (const [i, item] of items.entries()) {
      let at = layout.offsets[i]!;
      const write = async (values: Float32Array): Promise<void> => {
        signal?.throwIfAborted();
        const bytes = encode(item.type, values);
        await sink.writeAt(at, bytes);
        at += bytes.byteLength;
        loaded += bytes.byteLength;
        onProgress?.({ phase: 'save', name: item.name, loaded, total: layout.size - layout.head.byteLength });
      };
      const table = tables.get(item.name);
      if (table) await write(Float32Array.from(table));
      for (const parameter of item.parameters) {
        const t = await readFloats(rt, tensors, stored.get(parameter.name)!, signal);
        const turn = alternatingHeads(names, parameter.name, heads);
        const added = /norm\.weight$/.test(parameter.name) ? (names.normOffset ?? 0) : 0;
        for await (const values of valuesOf(t, turn)) await write(added === 0 ? values : values.map((v) => v + added));
        t.dispose();
      }
    }
    // the last tensor is padded as the others are
    const [last, item] = [layout.offsets.at(-1), items.at(-1)];
    const end =
      last === undefined
        ? layout.size
        : last +
          ggmlBytes(
            item!.type,
            item!.shape.reduce((n, d) => n * d, 1),
          );
    if (end < layout.size) await sink.writeAt(end, new Uint8Array(layout.size - end));
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  } finally {
    if (!options.runtime) await rt.close();
  }
  const types: Record<string, number> = {};
  for (const { type } of items) types[type.name] = (types[type.name] ?? 0) + 1;
  const bytesBefore = parameters.reduce((n, p) => n + stored.get(p.name)!.nbytes, 0);
  return { types, bytesBefore, bytesAfter: layout.size, notes };
}

function typeOf(name: string): GgmlType {
  if (ggufTypes.includes(name.toLowerCase())) return ggmlType(name.toUpperCase());
  throw new AoError('ERR_AO_CONFIG', `'${name}' is no type of GGUF that is written`, {
    fix: `use one of ${ggufTypes.join(', ')}`,
  });
}

/** The type of a matrix whose rows have `columns` values. */
export function typeFor(
  asked: GgmlType,
  { role, output }: Pick<ParameterSpec, 'role' | 'output'>,
  columns: number,
): GgmlType {
  if (role === 'vector' || role === 'router') return ggmlType('F32');
  const narrow = asked.name.startsWith('Q4');
  const wanted =
    narrow && (role === 'embedding' || output === true) ? ['Q6_K', 'Q8_0', 'F16'] : [asked.name, 'Q8_0', 'F16'];
  return wanted.map(ggmlType).find((type) => columns % type.block === 0)!;
}

function itemsOf(parameters: readonly ParameterSpec[], names: GgufNames, asked: GgmlType): Item[] {
  const items = new Map<string, Item>();
  for (const p of parameters) {
    const name = toGgufName(names, p.name);
    if (name === undefined) {
      throw new AoError('ERR_AO_CONFIG', `GGUF's ${names.architecture} has no such tensor`, {
        tensor: p.name,
        fix: 'keep the model in safetensors',
      });
    }
    const before = items.get(name);
    const all = [...(before?.parameters ?? []), p];
    const shape = expertOf(p.name) === undefined ? p.shape : [all.length, ...p.shape];
    items.set(name, { name, type: typeFor(asked, p, p.shape.at(-1)!), shape, parameters: all });
  }
  return [...items.values()];
}

function tableItems(tables: ReadonlyMap<string, readonly number[]>): Item[] {
  return [...tables].map(([name, values]) => ({ name, type: ggmlType('F32'), shape: [values.length], parameters: [] }));
}

async function tokensOf(folder: string, config: ModelConfig, vocab: number): Promise<readonly GgufPair[]> {
  const tokenizer = await readJsonIfPresent(folder, 'tokenizer.json');
  if (tokenizer === undefined) return [['tokenizer.ggml.model', 'string', 'none']];
  const about = (await readJsonIfPresent(folder, 'tokenizer_config.json')) ?? {};
  const templates = await readChatTemplates(folder, about);
  return ggufTokens({ tokenizer, config: about, chatTemplate: templates['default'], model: config.json }, vocab);
}

async function readFloats(
  rt: Runtime,
  file: TensorFile,
  stored: Stored,
  signal: AbortSignal | undefined,
): Promise<Dense> {
  const raw: Tensor = await readStored(rt, file, stored, { device: rt.device, signal });
  if (raw.kind === null) return raw as Dense;
  const dense = dequantize(raw) as Dense;
  raw.dispose();
  return dense;
}

/** Float32 rows in the order of the file, whole heads at a time where theirs alternate. */
async function* valuesOf(t: Dense, heads: number | undefined): AsyncGenerator<Float32Array> {
  if (t.ndim === 1) {
    const values = (await inFloat32(t)) as Float32Array;
    const order = (i: number): number => (heads === undefined ? i : alternatedRow(i, values.length, heads));
    yield values.map((_, i) => values[order(i)]!);
    return;
  }
  const [rows, columns] = t.shape as [number, number];
  const head = heads === undefined ? 1 : rows / heads;
  const step = head * Math.max(1, Math.floor(PIECE / columns / head));
  for (let from = 0; from < rows; from += step) {
    const values = (await inFloat32(t, from, Math.min(from + step, rows))) as Float32Array;
    if (heads === undefined) {
      yield values;
      continue;
    }
    const turned = new Float32Array(values.length);
    for (let r = 0; r < values.length / columns; r++) {
      const own = alternatedRow(from + r, rows, heads) - from;
      turned.set(values.subarray(own * columns, (own + 1) * columns), r * columns);
    }
    yield turned;
  }
}

async function inFloat32(t: Dense, from?: number, to?: number): Promise<ArrayLike<number>> {
  const part = scope(() => cast(from === undefined ? t : slice(t, 0, from, to!), float32)) as Dense;
  try {
    return await part.data();
  } finally {
    if (part !== t) part.dispose();
  }
}

function encode(type: GgmlType, values: Float32Array): Uint8Array {
  if (type.name === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const narrow = type.name === 'F16' ? float16 : type.name === 'BF16' ? bfloat16 : undefined;
  if (narrow) return new Uint8Array(Uint16Array.from(values, (x) => narrow.encode(x)).buffer);
  const block = (blockEncoders[type.name] ?? kBlockEncoders[type.name])!;
  const out = new Uint8Array((values.length / type.block) * type.bytes);
  for (let b = 0; b < values.length / type.block; b++) block(values, b * type.block, out, b * type.bytes);
  return out;
}
