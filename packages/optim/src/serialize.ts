// An optimizer's state as one safetensors file: plain tensors by their names, codes as their kinds' parts in torchao's naming
// (`state.0.exp_avg` becomes `state.0._exp_avg_codes`, ...) with one JSON string of metadata under the name.
import {
  AoError,
  type ByteSink,
  type ByteSource,
  type Dense,
  fileFormOf,
  isWrapped,
  kindByFileType,
  openSafetensors,
  type Runtime,
  readTensors,
  type SafetensorsLayout,
  type Tensor,
  Wrapped,
  writeSafetensors,
} from '@ao/core';
import type { Optimizer } from './optimizer.ts';

interface Entry {
  readonly _type: string;
  readonly _data?: Readonly<Record<string, unknown>>;
  readonly _tensor_data_names?: readonly string[];
}

const partPrefix = (name: string): string => name.replace(/([^.]*)$/, '_$1_');

/** Writes a state dict of optimizers. */
export async function saveStateDict(
  dict: ReadonlyMap<string, Tensor>,
  sink: ByteSink,
  options: { readonly signal?: AbortSignal } = {},
): Promise<SafetensorsLayout> {
  const plain = new Map<string, Dense>();
  const metadata: Record<string, string> = {};
  for (const [name, t] of dict) {
    if (!isWrapped(t)) {
      plain.set(name, t as Dense);
      continue;
    }
    const form = fileFormOf(t);
    if (form === undefined)
      throw new AoError('ERR_AO_FORMAT', `${name} is of kind ${t.kind.name}, which has no form in files`, {
        tensor: name,
        fix: 'give the kind a `file`',
      });
    const names = form.names(t as never);
    for (const part of names) plain.set(partPrefix(name) + part, t.parts[part] as Dense);
    metadata[name] = JSON.stringify({ _type: form.type, _data: form.encode(t as never), _tensor_data_names: names });
  }
  const items = [...plain].map(([name, t]) => ({ name, dtype: t.dtype.safetensors, shape: t.shape }));
  const read = async ({ name }: { readonly name: string }): Promise<Uint8Array> => {
    const bits = await plain.get(name)!.bits();
    return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
  };
  return writeSafetensors(sink, items, read, { metadata, ...options });
}

function restored(rt: Runtime, name: string, text: string, plain: Map<string, Dense>): Tensor {
  const entry = JSON.parse(text) as Entry;
  const found = kindByFileType(rt.kinds.values(), entry._type);
  if (found === undefined)
    throw new AoError('ERR_AO_FORMAT', `${name} is of type ${entry._type}, which this runtime does not know`, {
      tensor: name,
      fix: "createRuntime({ use: [optim()] }) with optim from '@ao/optim'",
    });
  const parts: Record<string, Tensor> = {};
  for (const part of entry._tensor_data_names ?? []) {
    const key = partPrefix(name) + part;
    const t = plain.get(key);
    if (t === undefined)
      throw new AoError('ERR_AO_FORMAT', `${name} lacks its part ${key}`, { tensor: name, fix: 'save it again' });
    parts[part] = t;
    plain.delete(key);
  }
  const { attrs, shape, dtype } = found.form.decode(entry._data ?? {}, parts);
  return new Wrapped(rt, found.kind, parts, found.kind.spec.attrs(attrs), shape, dtype);
}

/** Reads a file of saveStateDict, or plain tensors under torch's names. */
export async function readStateDict(
  rt: Runtime,
  source: ByteSource,
  options: { readonly device?: string } = {},
): Promise<Map<string, Tensor>> {
  const file = await openSafetensors(source);
  const plain = await readTensors(rt, file, options);
  const dict = new Map<string, Tensor>();
  for (const [name, text] of Object.entries(file.metadata))
    if (text.startsWith('{')) dict.set(name, restored(rt, name, text, plain));
  return new Map([...plain, ...dict]);
}

/** Writes the state of an optimizer as safetensors; the steps before it are in it. */
export const saveOptimizer = (
  optimizer: Pick<Optimizer<object>, 'stateDict'>,
  sink: ByteSink,
  options: { readonly signal?: AbortSignal } = {},
): Promise<SafetensorsLayout> => saveStateDict(optimizer.stateDict(), sink, options);

/** Reads into an optimizer what saveOptimizer wrote; its parameters come in the same order. */
export async function loadOptimizer(
  optimizer: Pick<Optimizer<object>, 'paramGroups' | 'loadStateDict'>,
  source: ByteSource,
): Promise<void> {
  const { rt, device } = optimizer.paramGroups[0]!.lr;
  const dict = await readStateDict(rt, source, { device });
  await optimizer.loadStateDict(dict);
  for (const t of dict.values()) t.dispose();
}
