// Checkpoints: one safetensors file with parameters (`parameters.<name>`), the optimizer's state (`optimizer.<name>`), generators
// (`generators.<name>`) and where training stands (metadata). A tensor that is a kind is written as its parts, `<name>.<part>`.
import {
  AoError,
  type ByteSink,
  type ByteSource,
  copy_,
  type Dense,
  fromBits,
  isWrapped,
  openSafetensors,
  scope,
  type Tensor,
  type TensorFile,
  Wrapped,
  writeSafetensors,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import type { TrainOptimizer } from './optimizer.ts';

export interface TrainingState {
  /** Optimizer steps made. */
  readonly step: number;
  /** Rows of the data that were drawn. */
  readonly position: number;
  /** Tokens with a loss so far; not needed to go on. */
  readonly tokens: number;
}

export interface CheckpointParts {
  /** What trains, by name; may be empty where the weights are kept elsewhere. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly optimizer: TrainOptimizer;
  /** States of generators that forward draws from: dropout's. */
  readonly generators?: Readonly<Record<string, Tensor>>;
}

const FORMAT = 'ao-training-1';

function leaves(name: string, t: Tensor, out: Map<string, Dense>): Map<string, Dense> {
  if (isWrapped(t)) for (const [part, inner] of Object.entries(t.parts)) leaves(`${name}.${part}`, inner, out);
  else out.set(name, t as Dense);
  return out;
}

/** Every dense tensor of a checkpoint by its name in the file. */
function tensorsOf({ parameters, optimizer, generators = {} }: CheckpointParts): Map<string, Dense> {
  const out = new Map<string, Dense>();
  for (const [name, t] of parameters) leaves(`parameters.${name}`, t, out);
  for (const [name, t] of optimizer.stateDict()) leaves(`optimizer.${name}`, t, out);
  for (const [name, t] of Object.entries(generators)) leaves(`generators.${name}`, t, out);
  return out;
}

/** Writes all of it; nothing may train meanwhile. A sink that renames at its end leaves a whole file or none. */
export async function saveCheckpoint(sink: ByteSink, parts: CheckpointParts, state: TrainingState): Promise<void> {
  parts.optimizer.initState();
  const tensors = tensorsOf(parts);
  const items = [...tensors].map(([name, t]) => ({ name, dtype: t.dtype.safetensors, shape: t.shape }));
  const read = async ({ name }: { readonly name: string }): Promise<Uint8Array> => {
    const { buffer, byteOffset, byteLength } = await tensors.get(name)!.bits();
    return new Uint8Array(buffer, byteOffset, byteLength);
  };
  await writeSafetensors(sink, items, read, { metadata: { format: FORMAT, state: JSON.stringify(state) } });
}

/**
 * Reads a checkpoint into the parameters, the optimizer and the generators, in place, and returns where training stood. Names, shapes or
 * dtypes that differ throw ERR_AO_FORMAT before anything changes.
 */
export async function loadCheckpoint(source: ByteSource, parts: CheckpointParts): Promise<TrainingState> {
  const file = await openSafetensors(source);
  const { format, state } = file.metadata;
  if (format !== FORMAT || state === undefined)
    throw new AoError('ERR_AO_FORMAT', `${source.name} is no checkpoint of training`, {
      fix: 'give a file that saveCheckpoint wrote',
    });
  parts.optimizer.initState();
  check(file, tensorsOf(parts));
  const { parameters, optimizer, generators = {} } = parts;
  for (const [name, t] of parameters) await restore(file, `parameters.${name}`, t);
  for (const [name, t] of Object.entries(generators)) await restore(file, `generators.${name}`, t);
  const dict = new Map<string, Tensor>();
  for (const [name, t] of optimizer.stateDict()) dict.set(name, await readLike(file, `optimizer.${name}`, t));
  await optimizer.loadStateDict(dict);
  for (const t of dict.values()) t.dispose();
  return JSON.parse(state) as TrainingState;
}

function check(file: TensorFile, tensors: ReadonlyMap<string, Dense>): void {
  const problems: string[] = [];
  for (const [name, t] of tensors) {
    const entry = file.has(name) ? file.entry(name) : undefined;
    const want = `${t.dtype.safetensors}[${t.shape}]`;
    const have = entry === undefined ? 'missing' : `${entry.dtype}[${entry.shape}]`;
    if (have !== want) problems.push(`${name} is ${have}, this training has ${want}`);
  }
  for (const name of file.names) if (!tensors.has(name)) problems.push(`${name} is not in this training`);
  if (problems.length === 0) return;
  throw new AoError(
    'ERR_AO_FORMAT',
    `${file.name} does not fit, ${problems.length} differences:\n  ${problems.slice(0, 8).join('\n  ')}\n`,
    {
      op: 'loadCheckpoint',
      fix: 'resume with the model, the optimizer and the trained parameters that it was saved with',
    },
  );
}

/** A new tensor of the form of t, from the file. */
async function readLike(file: TensorFile, name: string, t: Tensor): Promise<Tensor> {
  if (!isWrapped(t)) {
    const out = fromBits(t.rt, await file.read(name), t.shape, t.dtype, { device: t.device });
    out.kept = true;
    return out;
  }
  const parts: Record<string, Tensor> = {};
  for (const [part, inner] of Object.entries(t.parts)) parts[part] = await readLike(file, `${name}.${part}`, inner);
  const out = new Wrapped(t.rt, t.kind, parts, t.attrs, t.shape, t.dtype);
  out.kept = true;
  return out;
}

async function restore(file: TensorFile, name: string, t: Tensor): Promise<void> {
  for (const [leaf, target] of leaves(name, t, new Map())) {
    const bytes = await file.read(leaf);
    noGrad(() =>
      scope(
        () => void copy_(target, fromBits(target.rt, bytes, target.shape, target.dtype, { device: target.device })),
      ),
    );
  }
}
