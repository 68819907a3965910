/** The golden fixtures of torchao: cases of the manifest, and their tensors from the safetensors files beside it. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ByteSource, RawArray, TensorFile } from '@ao/core';
import { decodeValues, dtypeByName, dtypes, openSafetensors, rawView } from '@ao/core';
import { fail } from './close.ts';

export interface GoldenInput {
  readonly key: string;
  /** torch's name. */
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface GoldenOutput extends GoldenInput {
  readonly agree: 'exact' | 'close' | 'mostly' | 'report';
  readonly rtol?: number;
  readonly atol?: number;
  readonly noise?: number;
  readonly max_mismatch?: number;
  readonly max_step?: number;
}

export interface GoldenCase {
  readonly name: string;
  readonly family: string;
  readonly file: string;
  readonly op: string;
  // biome-ignore lint/suspicious/noExplicitAny: each op has parameters of its own
  readonly params: Readonly<Record<string, any>>;
  /** torchao's config_to_dict. */
  readonly config?: unknown;
  readonly facts?: Readonly<Record<string, string>>;
  readonly inputs: Readonly<Record<string, GoldenInput>>;
  readonly outputs: Readonly<Record<string, GoldenOutput>>;
  readonly sqnr_db?: Readonly<Record<string, number>>;
  readonly note?: string;
}

export interface GoldenTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  /** Raw codes; of a dtype that core lacks, its bytes (int16: its values). */
  readonly bits: RawArray;
  /** Values; throws for a dtype without a decoder here. */
  values(): Float64Array;
}

/** Path of a file of the fixtures, e.g. 'checkpoint_int8wo.safetensors'. */
export const goldenPath = (file: string): string => fileURLToPath(new URL(`../golden/${file}`, import.meta.url));

/** A file on disk as a source. */
export function fileSource(path: string): ByteSource {
  const { size } = withFile(path, (fd) => fstatSync(fd));
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    const n = withFile(path, (fd) => readSync(fd, bytes, 0, length, offset));
    return bytes.subarray(0, n);
  };
  return { name: path, size, read };
}

function withFile<T>(path: string, use: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

let cases: readonly GoldenCase[] | undefined;
const files = /*@__PURE__*/ new Map<string, Promise<TensorFile>>();

export type CaseFilter = string | RegExp | ((c: GoldenCase) => boolean);

/** Cases by a prefix of their name, a pattern or a predicate, in the manifest's order. None is an error: a test of nothing passes. */
export function goldenCases(filter: CaseFilter = ''): readonly GoldenCase[] {
  cases ??= (JSON.parse(readFileSync(goldenPath('manifest.json'), 'utf8')) as { cases: GoldenCase[] }).cases;
  const keep =
    typeof filter === 'function'
      ? filter
      : (c: GoldenCase) => (typeof filter === 'string' ? c.name.startsWith(filter) : filter.test(c.name));
  const found = cases.filter(keep);
  return found.length > 0 ? found : fail(`no golden case matches ${String(filter)}`);
}

/** The one case of this name. */
export function goldenCase(name: string): GoldenCase {
  return goldenCases((c) => c.name === name)[0] as GoldenCase;
}

const E8M0 = (code: number): number => (code === 255 ? NaN : 2 ** (code - 127));

function view(dtype: string, shape: readonly number[], bytes: Uint8Array): GoldenTensor {
  const known = dtypes().some((d) => d.name === dtype) ? dtypeByName(dtype) : undefined;
  const int16 = (): Int16Array => new Int16Array(bytes.slice().buffer);
  const bits = known ? rawView(known, bytes) : dtype === 'int16' ? Int32Array.from(int16()) : bytes;
  return {
    dtype,
    shape,
    bytes,
    bits,
    values() {
      if (known) return Float64Array.from(decodeValues(known, bits));
      if (dtype === 'int16') return Float64Array.from(bits);
      if (dtype === 'float8_e8m0fnu') return Float64Array.from(bytes, E8M0);
      return fail(`no decoder for ${dtype}`);
    },
  };
}

/** A tensor of a case's file; equal tensors are stored once, so the key decides. */
export async function goldenTensor(file: string, { key, dtype, shape }: GoldenInput): Promise<GoldenTensor> {
  const open = files.get(file) ?? openSafetensors(fileSource(goldenPath(file)));
  files.set(file, open);
  return view(dtype, shape, await (await open).read(key));
}

async function tensors(
  c: GoldenCase,
  of: Readonly<Record<string, GoldenInput>>,
): Promise<Record<string, GoldenTensor>> {
  const entries = Object.entries(of).map(async ([role, x]) => [role, await goldenTensor(c.file, x)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

export const goldenInputs = (c: GoldenCase): Promise<Record<string, GoldenTensor>> => tensors(c, c.inputs);
export const goldenOutputs = (c: GoldenCase): Promise<Record<string, GoldenTensor>> => tensors(c, c.outputs);
