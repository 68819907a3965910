// Checkpoints of any number of ranks: each rank writes a safetensors file of what it has, rank 0 an index (model.shards.json) that says which rows of
// which tensor each file holds. They load on any other number of ranks, one process included.
import {
  AoError,
  type ByteSink,
  type ByteSource,
  cast,
  cat,
  contiguous,
  copy_,
  type Dense,
  dequantize,
  dtypeBySafetensors,
  float32,
  fromBits,
  isWrapped,
  type Module,
  openSafetensors,
  reshape,
  scope,
  slice,
  type Tensor,
  type TensorFile,
  writeSafetensors,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import type { ProcessGroup } from './process-group.ts';
import { type Leaf, leavesOf } from './sharded/leaves.ts';

/** What a checkpoint takes of an optimizer of @ao/optim; moments are written as float32, in whatever form it keeps them. */
export interface ShardedOptimizer {
  readonly paramGroups: readonly { readonly params: readonly Tensor[] }[];
  initState(): void;
  stateDict(): ReadonlyMap<string, Tensor>;
  loadStateDict(dict: ReadonlyMap<string, Tensor>): void | Promise<void>;
}

interface Common {
  /** The ranks that save or load together; absent = this process alone. */
  readonly group?: ProcessGroup | undefined;
  readonly optimizer?: ShardedOptimizer;
}

export interface SaveShardedOptions extends Common {
  /** A file of the checkpoint, which takes its name when its sink is closed: createFile of @ao/hf-integration. */
  create(file: string): ByteSink | Promise<ByteSink>;
}

export interface LoadShardedOptions extends Common {
  /** A file of the checkpoint, closed after use: openFile of @ao/hf-integration. */
  open(file: string): Source | Promise<Source>;
}

type Source = ByteSource & { close?(): Promise<void> };

interface Piece {
  readonly file: string;
  /** Along `dim` of the whole. */
  readonly start: number;
  readonly count: number;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly dim: number;
  readonly pieces: Piece[];
}

interface Index {
  readonly format: string;
  readonly tensors: Record<string, Entry>;
}

const FORMAT = 'ao-shards-1';
export const SHARDS_INDEX = 'model.shards.json';

/** Moments lie as their parameter does; counters and rates are on every rank. */
function optimizerLeaves(optimizer: ShardedOptimizer, model: ReadonlyMap<string, Leaf>): Map<string, Leaf> {
  const byTensor = new Map([...model].map(([name, leaf]) => [leaf.tensor, [name, leaf]] as const));
  const params = optimizer.paramGroups.flatMap((g) => g.params);
  const found = new Map<string, Leaf>();
  for (const [key, t] of optimizer.stateDict()) {
    const [, index = '', what = ''] = /^state\.(\d+)\.(.+)$/.exec(key) ?? [];
    const [name, leaf] = (index === '' ? undefined : byTensor.get(params[Number(index)]!)) ?? [];
    const lies = leaf !== undefined && t.numel === leaf.tensor.numel && what !== 'step' ? leaf : undefined;
    const whole = { shape: t.shape, dim: 0, start: 0, count: t.shape[0] ?? 1, shared: true };
    found.set(name === undefined ? `optimizer.${key}` : `optimizer.${name}.${what}`, {
      ...(lies ?? whole),
      tensor: t,
      key,
    });
  }
  return found;
}

/** What is written of a leaf: its real rows, moments as float32. */
function written({ tensor: t, dim, count, shape }: Leaf): Dense {
  const plain = isWrapped(t) ? cast(dequantize(t), float32) : t;
  const local = [...shape];
  if (local.length > 0) local[dim] = plain.numel / (shape.reduce((n, d, i) => (i === dim ? n : n * d), 1) || 1);
  const rows = reshape(plain, local);
  return contiguous(local.length === 0 ? rows : slice(rows, dim, 0, count)) as Dense;
}

const fileOf = (rank: number, size: number): string => {
  const digits = (n: number): string => String(n).padStart(5, '0');
  return `model-${digits(rank + 1)}-of-${digits(size)}.safetensors`;
};

async function writeText(sink: ByteSink, text: string): Promise<void> {
  await sink.write(new TextEncoder().encode(text));
  await sink.close();
}

/** Writes the model's tensors and the optimizer's state; every rank calls it, nothing may train meanwhile. Returns when all files are there. */
export async function saveSharded(model: Module, { group, optimizer, create }: SaveShardedOptions): Promise<void> {
  const { rank, size } = group ?? { rank: 0, size: 1 };
  optimizer?.initState();
  const ofModel = leavesOf(model);
  const leaves = new Map([...ofModel, ...(optimizer === undefined ? [] : optimizerLeaves(optimizer, ofModel))]);
  const file = fileOf(rank, size);
  const own: Record<string, Entry> = {};
  for (const [name, { shape, dim, start, count, shared, tensor }] of leaves) {
    if ((shared && rank !== 0) || count <= 0) continue;
    own[name] = {
      dtype: isWrapped(tensor) ? 'F32' : tensor.dtype.safetensors,
      shape,
      dim,
      pieces: [{ file, start, count }],
    };
  }
  const items = Object.entries(own).map(
    ([
      name,
      {
        dtype,
        shape,
        dim,
        pieces: [piece],
      },
    ]) => ({ name, dtype, shape: shape.map((d, i) => (i === dim ? piece!.count : d)) }),
  );
  const read = async ({ name }: { readonly name: string }): Promise<Uint8Array> => {
    const t = noGrad(() => scope(() => written(leaves.get(name)!)));
    const { buffer, byteOffset, byteLength } = await t.bits();
    t.dispose();
    return new Uint8Array(buffer, byteOffset, byteLength);
  };
  await writeSafetensors(await create(file), items, read, {
    metadata: { format: FORMAT, rank: String(rank), size: String(size) },
  });
  const all = group === undefined ? [JSON.stringify(own)] : await group.gatherText(JSON.stringify(own));
  if (rank === 0) {
    const tensors: Record<string, Entry> = {};
    for (const text of all) {
      for (const [name, entry] of Object.entries(JSON.parse(text) as Record<string, Entry>)) {
        if (tensors[name] === undefined) tensors[name] = entry;
        else tensors[name].pieces.push(...entry.pieces);
      }
    }
    await writeText(await create(SHARDS_INDEX), `${JSON.stringify({ format: FORMAT, tensors } satisfies Index)}\n`);
  }
  await group?.barrier();
}

const bad = (problem: string, tensor?: string): AoError =>
  new AoError('ERR_AO_FORMAT', problem, {
    op: 'loadSharded',
    ...(tensor === undefined ? {} : { tensor }),
    fix: 'load the model, and the optimizer, that it was saved from',
  });

async function readText(source: Source): Promise<string> {
  const bytes = await source.read(0, source.size);
  await source.close?.();
  return new TextDecoder().decode(bytes);
}

class Reader {
  readonly #files = new Map<string, Promise<TensorFile>>();
  readonly #sources: Source[] = [];
  readonly #open: LoadShardedOptions['open'];

  constructor(open: LoadShardedOptions['open']) {
    this.#open = open;
  }

  #file(file: string): Promise<TensorFile> {
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    const opened = Promise.resolve(this.#open(file)).then((source) => {
      this.#sources.push(source);
      return openSafetensors(source);
    });
    this.#files.set(file, opened);
    return opened;
  }

  async close(): Promise<void> {
    for (const source of this.#sources) await source.close?.();
  }

  /** Positions `start` .. `start + count` along the entry's dimension, beside `like`. */
  async rows(
    name: string,
    { dtype, shape, dim, pieces }: Entry,
    start: number,
    count: number,
    like: Tensor,
  ): Promise<Dense> {
    const parts: { readonly at: number; readonly t: Tensor }[] = [];
    const type = dtypeBySafetensors(dtype)!;
    for (const piece of pieces) {
      const [from, to] = [Math.max(start, piece.start), Math.min(start + count, piece.start + piece.count)];
      if (to <= from && shape.length > 0) continue;
      const file = await this.#file(piece.file);
      const sized = (n: number): number[] => shape.map((d, i) => (i === dim ? n : d));
      const made = (bytes: Uint8Array, n: number): Dense =>
        fromBits(like.rt, bytes, sized(n), type, { device: like.device });
      if (dim === 0 && shape.length > 0) {
        const { begin, end } = file.entry(name);
        const row = (end - begin) / piece.count;
        const bytes = await file.readRange(name, (from - piece.start) * row, (to - piece.start) * row);
        parts.push({ at: from, t: made(bytes, to - from) });
        continue;
      }
      const bytes = await file.read(name);
      const part = scope(() => {
        const all = made(bytes, piece.count);
        return shape.length === 0 ? all : contiguous(slice(all, dim, from - piece.start, to - piece.start));
      });
      parts.push({ at: from, t: part });
    }
    parts.sort((a, b) => a.at - b.at);
    const have = shape.length === 0 ? count : parts.reduce((n, { t }) => n + t.shape[dim]!, 0);
    if (have !== count) throw bad(`it has ${have} of the ${count} rows from ${start} on`, name);
    const whole =
      parts.length === 1
        ? parts[0]!.t
        : cat(
            parts.map(({ t }) => t),
            dim,
          );
    for (const { t } of parts) if (t !== whole) t.dispose();
    return whole as Dense;
  }
}

/**
 * Reads what saveSharded wrote into the model, and the optimizer, in place: each rank reads the files that hold its rows. Throws ERR_AO_FORMAT
 * naming what differs before anything changes.
 */
export async function loadSharded(model: Module, { group, optimizer, open }: LoadShardedOptions): Promise<void> {
  const index = JSON.parse(await readText(await open(SHARDS_INDEX))) as Index;
  if (index.format !== FORMAT) throw bad(`${SHARDS_INDEX} has the format ${String(index.format)}, not ${FORMAT}`);
  optimizer?.initState();
  const ofModel = leavesOf(model);
  const ofOptimizer = optimizer === undefined ? new Map<string, Leaf>() : optimizerLeaves(optimizer, ofModel);
  const problems: string[] = [];
  for (const [name, { shape }] of [...ofModel, ...ofOptimizer]) {
    const entry = index.tensors[name];
    const same = entry !== undefined && entry.shape.join() === shape.join();
    if (!same) problems.push(`${name} is [${entry?.shape ?? 'missing'}], not [${shape}]`);
  }
  if (problems.length > 0)
    throw bad(`the checkpoint differs in ${problems.length} tensors:\n  ${problems.slice(0, 8).join('\n  ')}\n`);
  const reader = new Reader(open);
  try {
    await readModel(reader, ofModel, index);
    if (optimizer !== undefined) await optimizer.loadStateDict(await stateOf(reader, ofOptimizer, index));
  } finally {
    await reader.close();
  }
  await group?.barrier();
}

async function readModel(reader: Reader, leaves: ReadonlyMap<string, Leaf>, index: Index): Promise<void> {
  for (const [name, leaf] of leaves) {
    if (leaf.count <= 0) continue;
    const rows = await reader.rows(name, index.tensors[name]!, leaf.start, leaf.count, leaf.tensor);
    noGrad(() =>
      scope(
        () =>
          void copy_(
            leaf.shape.length === 0 ? leaf.tensor : slice(leaf.tensor, leaf.dim, 0, leaf.count),
            cast(rows, leaf.tensor.dtype),
          ),
      ),
    );
    rows.dispose();
  }
}

/** The optimizer's state dict; rows that a shard has beyond the tensor's end are zeros. */
async function stateOf(reader: Reader, leaves: ReadonlyMap<string, Leaf>, index: Index): Promise<Map<string, Tensor>> {
  const dict = new Map<string, Tensor>();
  for (const [name, { key, tensor, start, count, dim, shape }] of leaves) {
    const rows = await reader.rows(name, index.tensors[name]!, start, count, tensor);
    const short = tensor.numel - rows.numel;
    const filled = short === 0 ? rows : padded(rows, short, dim, shape);
    dict.set(key!, filled);
  }
  return dict;
}

function padded(rows: Dense, missing: number, dim: number, shape: readonly number[]): Tensor {
  const across = shape.reduce((n, d, i) => (i === dim ? n : n * d), 1);
  const zeros = fromBits(
    rows.rt,
    new Uint8Array(missing * rows.dtype.itemsize),
    shape.map((d, i) => (i === dim ? missing / across : d)),
    rows.dtype,
    { device: rows.device },
  );
  return scope(() => cat([rows, zeros], dim));
}
