// Bits per weight, counted from files: 8 x the bytes of a model's safetensors files, headers and all, over its parameters (a tied
// tensor counts once). FileSizes says what files will be before they are written.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type DType, keep, type Runtime, type SafetensorsItem, safetensorsHeader, scope, zeros } from '@ao/core';
import { type AoConfig, isProblem, planTensor } from '@ao/quantization';
import { AutoConfig } from '../auto-config.ts';
import { fileMetadata, ownersOf, type Storing, storing, storingPlain } from '../files/stored.ts';

export interface FileBits {
  /** Of all safetensors files. */
  readonly bytes: number;
  readonly parameters: number;
  readonly bitsPerWeight: number;
}

export const elements = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Of a model folder as it lies on the disk. */
export async function fileBits(folder: string): Promise<FileBits> {
  const { outline } = await AutoConfig.fromPretrained(folder);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  const bytes = sizes.reduce((a, b) => a + b, 0);
  const parameters = outline.parameters.reduce((n, p) => n + elements(p.shape), 0);
  return { bytes, parameters, bitsPerWeight: (8 * bytes) / parameters };
}

export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** How tensors would be stored: each config is tried once a shape, on zeros, the way that writing goes. */
export class FileSizes {
  readonly #rt: Runtime;
  readonly #known = new Map<string, Storing | null>();

  constructor(rt: Runtime) {
    this.#rt = rt;
  }

  /** null where the weight cannot have the config. */
  async storing({ name, shape, dtype }: Weight, config: AoConfig | null): Promise<Storing | null> {
    if (config === null) return storingPlain(name, dtype.safetensors, shape);
    const key = JSON.stringify([shape, dtype.name, config]);
    if (!this.#known.has(key)) this.#known.set(key, await this.#tried(shape, dtype, config));
    const found = this.#known.get(key)!;
    return found && renamed(found, name);
  }

  async #tried(shape: readonly number[], dtype: DType, config: AoConfig): Promise<Storing | null> {
    const plan = planTensor(this.#rt, config, { shape, dtype: dtype.name });
    if (isProblem(plan)) return null;
    const made = keep(scope(() => plan.quantize(zeros(this.#rt, shape, { dtype }))));
    try {
      return await storing(PLACE, made);
    } finally {
      made.dispose();
    }
  }

  /** Bytes of the one file that holds all of these. */
  total(stored: ReadonlyMap<string, Storing>): number {
    const items = [...stored.values()].flatMap((s) => s.items);
    return safetensorsHeader(items, fileMetadata(items, ownersOf(stored), stored)).size;
  }
}

/** Stands for a tensor's name. */
const PLACE = 'a.weight';

function renamed({ items, metadata }: Storing, name: string): Storing {
  const [owner, own] = [PLACE, name].map((n) => n.slice(0, n.lastIndexOf('.') + 1)) as [string, string];
  const leaf = name.slice(own.length);
  const of = (item: SafetensorsItem): SafetensorsItem => ({
    ...item,
    name: own + item.name.slice(owner.length).replace('weight', leaf),
  });
  return { items: items.map(of), metadata };
}

/** What a tensor adds to a file: its bytes, and its lines in the header. */
export function bytesOf({ items, metadata }: Storing): number {
  const header = JSON.stringify(items).length + JSON.stringify(metadata).length;
  return header + items.reduce((n, item) => n + itemBytes(item), 0);
}

const itemBytes = (item: SafetensorsItem): number => safetensorsHeader([item]).entries[0]!.end;
