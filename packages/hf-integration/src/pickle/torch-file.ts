// openTorchFile(source): a checkpoint of torch.save (a zip of data.pkl and storages) as tensors by name: a state dict, or the one
// in a dict under state_dict or model. torchao's tensors in it are read as its safetensors are.
import { AoError, type ByteSource, type TensorFile } from '@ao/core';
import { asTorchAo } from '../foreign/as-torchao.ts';
import type { ForeignTensor } from '../foreign/format.ts';
import { callGlobal, isSafeGlobal, storageOf } from './safe-globals.ts';
import { isContiguous, readStrided, spanOf } from './strided.ts';
import { torchAoObject } from './torchao-object.ts';
import { unpickle } from './unpickle.ts';
import { TorchSubclass, TorchTensor } from './values.ts';
import { openZip, type ZipEntry } from './zip.ts';

export interface TorchFile {
  readonly file: TensorFile;
  readonly notes: readonly string[];
}

/** Larger ones hold more than names and shapes. */
const MAX_PICKLE = 1 << 28;
const INSIDE = ['state_dict', 'model_state_dict', 'model', 'module'];

export async function openTorchFile(source: ByteSource): Promise<TorchFile> {
  const entries = await openZip(source);
  const { storages, pickle } = await archiveOf(source, entries);
  const bytes = await source.read(pickle.offset, pickle.size);
  const { name } = source;
  const value = unpickle(bytes, {
    name,
    allows: isSafeGlobal,
    call: (global, args) => callGlobal(name, global, args),
    persistent: (id) => storageOf(name, id),
  });
  const plain = new Map<string, TorchTensor>();
  const made: ForeignTensor[] = [];
  const partOf = (t: TorchTensor) => {
    const span = spanOf(name, t, storages);
    return { dtype: t.dtype, shape: t.shape, read: () => readStrided(source, t, span) };
  };
  for (const [key, item] of stateDict(name, value)) {
    if (item instanceof TorchTensor && isContiguous(item)) plain.set(key, item);
    else if (item instanceof TorchTensor) made.push({ name: key, uses: [], parts: [partOf(item)] });
    else if (item instanceof TorchSubclass)
      made.push({ name: key, uses: [], ...torchAoObject(name, key, item, partOf) });
  }
  const spans = new Map([...plain].map(([key, t]) => [key, spanOf(name, t, storages)]));
  const file = contiguousFile(source, plain, spans);
  const notes = made.flatMap((t) => (t.note === undefined ? [] : [`${t.name}: ${t.note}`]));
  return { file: made.length === 0 ? file : asTorchAo(file, made), notes };
}

interface Archive {
  readonly pickle: ZipEntry;
  /** By key. */
  readonly storages: ReadonlyMap<string, ZipEntry>;
}

async function archiveOf(source: ByteSource, entries: ReadonlyMap<string, ZipEntry>): Promise<Archive> {
  const own = [...entries.keys()].find((path) => path.endsWith('/data.pkl'));
  if (own === undefined)
    throw wrong(
      source.name,
      'no data.pkl in it',
      'give a file that torch.save wrote; TorchScript and numpy files are others',
    );
  const root = own.slice(0, -'data.pkl'.length);
  const order = entries.get(`${root}byteorder`);
  if (order !== undefined && order.size === 3)
    throw wrong(source.name, 'big-endian tensors', 'save it on a little-endian machine');
  const pickle = entries.get(own)!;
  if (pickle.size > MAX_PICKLE)
    throw wrong(source.name, `a pickle of ${pickle.size} bytes`, 'save the state_dict alone');
  const start = `${root}data/`;
  const storages = [...entries].flatMap(([path, e]) =>
    path.startsWith(start) ? [[path.slice(start.length), e] as const] : [],
  );
  return { pickle, storages: new Map(storages) };
}

const isTensor = (value: unknown): boolean => value instanceof TorchTensor || value instanceof TorchSubclass;

function stateDict(file: string, value: unknown): [string, unknown][] {
  if (!(value instanceof Map))
    throw wrong(file, 'it holds no dict of tensors', 'save model.state_dict(), not the model');
  for (const key of INSIDE) {
    const inner = value.get(key);
    if (inner instanceof Map && [...inner.values()].some(isTensor)) return stateDict(file, inner);
  }
  const found = [...value].filter(
    (item): item is [string, unknown] => typeof item[0] === 'string' && isTensor(item[1]),
  );
  if (found.length > 0) return found;
  const keys = [...value.keys()].slice(0, 8).map(String).join(', ');
  throw wrong(
    file,
    `a dict without tensors; its keys are ${keys || 'none'}`,
    `give one of tensors, or of ${INSIDE.join(', ')}`,
  );
}

function contiguousFile(
  source: ByteSource,
  tensors: ReadonlyMap<string, TorchTensor>,
  spans: ReadonlyMap<string, ZipEntry>,
): TensorFile {
  const span = (key: string): ZipEntry => {
    const found = spans.get(key);
    if (found) return found;
    throw new AoError('ERR_AO_FORMAT', `${source.name} has no such tensor`, {
      tensor: key,
      fix: 'name one that it has',
    });
  };
  const readRange = (key: string, begin: number, end: number): Promise<Uint8Array> =>
    begin === end ? Promise.resolve(new Uint8Array(0)) : source.read(span(key).offset + begin, end - begin);
  return {
    name: source.name,
    metadata: {},
    names: [...tensors.keys()],
    has: (key) => tensors.has(key),
    entry: (key) => {
      const { size } = span(key);
      const { dtype, shape } = tensors.get(key)!;
      return { name: key, dtype, shape, begin: 0, end: size };
    },
    read: (key) => readRange(key, 0, span(key).size),
    readRange,
    locate: (key) => ({ source, offset: span(key).offset }),
  };
}

const wrong = (file: string, problem: string, fix: string): AoError =>
  new AoError('ERR_AO_FORMAT', `${file}: ${problem}`, { fix });
