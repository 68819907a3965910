// Goldens for tests: the manifest's cases and their tensors, and the manifest's rule of agreement.
import { readFileSync } from 'node:fs';
import { decodeValues, dtypeByName, dtypeBySafetensors, rawView, type DType, type RawArray } from '@ao/core';

export const goldenDir = new URL('../../testing/golden/', import.meta.url);

export interface GoldenTensor {
  readonly key: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly agree?: 'exact' | 'close' | 'mostly' | 'report';
  readonly rtol?: number;
  readonly atol?: number;
  readonly max_mismatch?: number;
}

export interface GoldenCase {
  readonly name: string;
  readonly family: string;
  readonly file: string;
  readonly op: string;
  // biome-ignore lint/suspicious/noExplicitAny: each family has parameters of its own
  readonly params: any;
  readonly config?: Record<string, unknown>;
  readonly inputs: Readonly<Record<string, GoldenTensor>>;
  readonly outputs: Readonly<Record<string, GoldenTensor>>;
  readonly sqnr_db?: Readonly<Record<string, number>>;
  readonly facts?: Readonly<Record<string, string>>;
}

export interface Loaded {
  readonly raw: RawArray;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export interface SafetensorsFile {
  readonly header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> & { __metadata__?: Record<string, string> };
  readonly headerText: string;
  get(key: string): Loaded;
}

let manifest: { cases: GoldenCase[] } | undefined;
const files = new Map<string, SafetensorsFile>();

export function goldenCases(filter: (c: GoldenCase) => boolean): GoldenCase[] {
  manifest ??= JSON.parse(readFileSync(new URL('manifest.json', goldenDir), 'utf8')) as { cases: GoldenCase[] };
  return manifest.cases.filter(filter);
}

export function goldenFile(name: string): SafetensorsFile {
  const known = files.get(name);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(readFileSync(new URL(name, goldenDir)));
  const size = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const headerText = new TextDecoder().decode(bytes.subarray(8, 8 + size));
  const header = JSON.parse(headerText) as SafetensorsFile['header'];
  const file: SafetensorsFile = {
    header,
    headerText,
    get(key) {
      const entry = header[key];
      if (entry === undefined) throw new Error(`${name} has no ${key}`);
      const dtype = dtypeBySafetensors(entry.dtype);
      const [start, end] = entry.data_offsets;
      return { raw: rawView(dtype, bytes.slice(8 + size + start, 8 + size + end)), dtype, shape: entry.shape };
    },
  };
  files.set(name, file);
  return file;
}

export function load(c: GoldenCase, role: string): Loaded {
  const t = c.inputs[role] ?? c.outputs[role];
  if (t === undefined) throw new Error(`${c.name} has no ${role}`);
  return { ...goldenFile(c.file).get(t.key), shape: t.shape };
}

export function values(l: Loaded): Float32Array {
  return Float32Array.from(decodeValues(l.dtype, l.raw));
}

export function outputDtype(c: GoldenCase, role: string): DType {
  return dtypeByName(c.outputs[role]?.dtype ?? '');
}

/** undefined where `got` (raw codes) agrees with the golden as its manifest asks, else what is wrong. */
export function disagreement(c: GoldenCase, role: string, got: ArrayLike<number>): string | undefined {
  const spec = c.outputs[role];
  if (spec === undefined) return `${c.name} has no output ${role}`;
  const want = load(c, role);
  if (spec.agree === 'report') return undefined;
  if (got.length !== want.raw.length) return `${role}: ${got.length} elements, golden has ${want.raw.length}`;
  if (spec.agree === 'close') return closeness(role, spec, want, got);
  let differ = 0;
  let first = -1;
  const bits = (x: ArrayLike<number>): ArrayLike<number> => (x instanceof Float32Array ? new Uint32Array(x.buffer, x.byteOffset, x.length) : x);
  const a = bits(got);
  const b = bits(want.raw);
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i] || (Number.isNaN(want.dtype.decode(want.raw[i] as number)) && Number.isNaN(want.dtype.decode(got[i] as number)))) continue;
    differ += 1;
    if (first < 0) first = i;
  }
  const allowed = spec.agree === 'mostly' ? (spec.max_mismatch ?? 0) * a.length : 0;
  return differ <= allowed ? undefined : `${role}: ${differ} of ${a.length} differ, first at ${first}: ${got[first]} for ${want.raw[first]}`;
}

function closeness(role: string, spec: GoldenTensor, want: Loaded, got: ArrayLike<number>): string | undefined {
  const { atol = 0, rtol = 0 } = spec;
  const width = spec.shape.at(-1) ?? 1;
  const b = values(want);
  for (let start = 0; start < b.length; start += width) {
    let square = 0;
    for (let i = start; i < start + width; i++) square += (b[i] as number) ** 2;
    const rms = Math.sqrt(square / width);
    for (let i = start; i < start + width; i++) {
      const a = want.dtype.decode(got[i] as number);
      const limit = atol + rtol * Math.max(Math.abs(b[i] as number), rms);
      if (!(Math.abs(a - (b[i] as number)) <= limit)) return `${role}[${i}]: ${a} for ${b[i]}, allowed ${limit}`;
    }
  }
  return undefined;
}

/** 20 log10(norm(ref) / norm(ref - out)). */
export function sqnr(ref: ArrayLike<number>, out: ArrayLike<number>): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < ref.length; i++) {
    signal += (ref[i] as number) ** 2;
    noise += ((ref[i] as number) - (out[i] as number)) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
