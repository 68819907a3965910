// restacked(storing, read, stacks): quantized experts as transformers and torchao have them: the parts of all experts of a layer in
// one tensor with a leading dimension, [E, N, ..], or [E, K / g, N] of those that lie by columns. The reverse of files/unstacked.ts.
import type { SafetensorsItem } from '@ao/core';
import { fileNamesOf, pythonJson } from '@ao/quantization';
import { PLAIN, type Storing } from '../files/stored.ts';
import { liesByColumns } from '../files/unstacked.ts';

type Read = (key: string, name: string) => AsyncIterable<Uint8Array>;

export interface Restacked {
  readonly storing: ReadonlyMap<string, Storing>;
  readonly read: Read;
  /** Stacks that stay one linear each, and why. */
  readonly notes: readonly string[];
}

/** `stacks`: names of tensors for several parameters, experts one after the other, as Outline.stacked has them. */
export function restacked(
  storing: ReadonlyMap<string, Storing>,
  read: Read,
  stacks: Readonly<Record<string, readonly string[]>> = {},
): Restacked {
  const notes: string[] = [];
  const made = new Map<string, Stack>();
  const first = new Map<string, string>();
  const gone = new Set<string>();
  for (const [name, members] of Object.entries(stacks)) {
    const own = members.flatMap((m) => storing.get(m) ?? []);
    if (members.length < 2 || own.length < members.length) continue;
    if (own.every(({ metadata }) => metadata.includes(`"${PLAIN}"`))) continue;
    const stack = stackOf(name, members, own);
    if (stack === undefined) {
      notes.push(`${name}: its experts have other schemes or scales than rows or groups: left one by one`);
      continue;
    }
    made.set(name, stack);
    first.set(members[0]!, name);
    for (const m of members) gone.add(m);
  }
  const entries = [...storing].flatMap(([name, own]): [string, Storing][] => {
    const stack = first.get(name);
    if (stack !== undefined) return [[stack, made.get(stack)!.storing]];
    return gone.has(name) ? [] : [[name, own]];
  });
  return {
    storing: new Map(entries),
    read: (key, name) => made.get(name)?.read(key, read) ?? read(key, name),
    notes,
  };
}

interface Stack {
  readonly storing: Storing;
  read(key: string, read: Read): AsyncIterable<Uint8Array>;
}

interface Entry {
  readonly _type: string;
  readonly _data: { readonly block_size?: unknown; readonly shape?: readonly number[] };
}

/** undefined where the members are not alike, or have other parts than codes and scales of rows and groups. */
function stackOf(name: string, members: readonly string[], own: readonly Storing[]): Stack | undefined {
  const { metadata: text } = own[0]!;
  const { _type, _data, ...rest } = JSON.parse(text) as Entry;
  const block = _data?.block_size;
  if (own.some((s) => s.metadata !== text) || !Array.isArray(block) || block.length !== 2 || block[0] !== 1) {
    return undefined;
  }
  const experts = new Set(members.map((m) => m.split('.').slice(0, -2).join('.'))).size;
  const per = members.length / experts;
  const { shape } = _data;
  const data = {
    ..._data,
    block_size: [1, ...block],
    ...(shape !== undefined && { shape: [experts, per * shape[0]!, shape[1]!] }),
  };
  const metadata = pythonJson({ _type, _data: data, ...rest } as never);
  const keys = fileNamesOf(name, { [name]: metadata });
  const memberKeys = members.map((m) => fileNamesOf(m, { [m]: text }));
  const height = own[0]!.items.find((i) => i.name === memberKeys[0]![0])?.shape[0];
  const items: SafetensorsItem[] = [];
  for (const [i, key] of keys.entries()) {
    const part = own[0]!.items.find((item) => item.name === memberKeys[0]![i])!;
    const [a, b] = part.shape as [number, number];
    const turned = liesByColumns(_type, key);
    if (part.shape.length !== 2 || (turned ? b : a) !== height) return undefined;
    items.push({ ...part, name: key, shape: turned ? [experts, a, per * b] : [experts, per * a, b] });
  }
  return {
    storing: { items, metadata },
    async *read(key, read) {
      const i = keys.indexOf(key);
      const { shape: whole } = items[i]!;
      for (let m = 0; m < members.length; m += per) {
        const pieces = members.slice(m, m + per).map((member, j) => read(memberKeys[m + j]![i]!, member));
        if (per > 1 && liesByColumns(_type, key)) yield sideBySide(await Promise.all(pieces.map(collected)), whole[1]!);
        else for (const piece of pieces) yield* piece;
      }
    },
  };
}

async function collected(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all.length === 1 ? all[0]! : Buffer.concat(all);
}

/** Matrices of as many rows as one: row by row, one after the other. */
function sideBySide(parts: readonly Uint8Array[], rows: number): Uint8Array {
  const widths = parts.map((p) => p.byteLength / rows);
  const out = new Uint8Array(parts.reduce((n, p) => n + p.byteLength, 0));
  let at = 0;
  for (let r = 0; r < rows; r++) {
    for (const [j, part] of parts.entries()) {
      out.set(part.subarray(r * widths[j]!, (r + 1) * widths[j]!), at);
      at += widths[j]!;
    }
  }
  return out;
}
