/**
 * Compares outputs with a golden case by the rules of its manifest (golden/README.md):
 *   exact   the same codes, the sign of zero included; NaNs are equal
 *   close   |got - want| <= atol + rtol * max(|want|, rms of want over its last axis)
 *   mostly  the share of differing codes is at most max_mismatch
 *   report  not compared
 * and of each role in sqnr_db: at most 0.1 dB below torchao's. Of GPTQ the objective counts, at most 1% above, and stands
 * for the codes and their dequantized values.
 */
import { readFileSync } from 'node:fs';
import type { RawArray } from '@ao/core';
import { decodeValues, dtypeByName } from '@ao/core';
import { difference, excess, fail, indexOf, relativeLimit, sqnr } from './close.ts';
import type { GoldenCase, GoldenOutput, GoldenTensor } from './golden.ts';
import { goldenInputs, goldenOutputs, goldenPath } from './golden.ts';

/** What was computed: a tensor, or raw codes with their dtype and shape. */
export interface Outcome {
  readonly shape: readonly number[];
  readonly dtype: string | { readonly name: string };
  readonly bits?: ArrayLike<number | bigint> | (() => Promise<ArrayLike<number | bigint>>);
}

export interface GoldenOptions {
  /** Compare these roles only; without it every role that the manifest compares must be given. */
  readonly only?: readonly string[];
  /** role -> id of the row in DEVIATIONS.md that covers it. */
  readonly except?: Readonly<Record<string, string>>;
}

interface Found {
  readonly dtype: string;
  readonly bits: ArrayLike<number | bigint>;
  readonly shape: readonly number[];
  values(): ArrayLike<number>;
}

async function read(outcome: Outcome): Promise<Found> {
  const dtype = typeof outcome.dtype === 'string' ? outcome.dtype : outcome.dtype.name;
  const bits = typeof outcome.bits === 'function' ? await outcome.bits() : outcome.bits;
  if (!bits) return fail('an outcome needs bits');
  return { dtype, bits, shape: outcome.shape, values: () => decodeValues(dtypeByName(dtype), bits as RawArray) };
}

const DB_SLACK = 0.1;
const GPTQ_SLACK = 1.01;

/** Codes that differ, two NaNs not counting. */
function differing(got: Found, want: GoldenTensor): number[] {
  const at: number[] = [];
  for (let i = 0; i < want.bits.length; i++) if (!Object.is(got.bits[i], want.bits[i])) at.push(i);
  if (at.length === 0) return at;
  const float = want.dtype.includes('float') && !/fnuz|e8m0/.test(want.dtype);
  if (!float) return at;
  const a = got.values();
  const b = want.values();
  return at.filter((i) => !(Number.isNaN(a[i]) && Number.isNaN(b[i])));
}

function compareCodes(got: Found, want: GoldenTensor, allowed: number): string | undefined {
  const at = differing(got, want);
  const total = Math.max(1, want.bits.length);
  if (at.length / total <= allowed) return undefined;
  const i = at[0] as number;
  const share = allowed > 0 ? `, share ${(at.length / total).toPrecision(4)} above ${allowed.toPrecision(4)}` : '';
  return `${at.length} of ${total} differ${share}; first ${indexOf(i, want.shape)}: got ${shown(got, i)}, want ${shown(want, i)}`;
}

function shown(x: Found | GoldenTensor, i: number): string {
  const code = x.bits[i];
  if (!x.dtype.includes('float') || /fnuz|e8m0|float32|float64/.test(x.dtype)) return String(code);
  return `${x.values()[i]} (0x${code?.toString(16)})`;
}

function compareValues(got: Found, want: GoldenTensor, { rtol = 0, atol = 0 }: GoldenOutput): string | undefined {
  const a = got.values();
  const b = want.values();
  const limit = relativeLimit(b, rtol, atol, want.shape.at(-1) ?? 1);
  let count = 0;
  let at = 0;
  let most = 0;
  for (let i = 0; i < b.length; i++) {
    const off = difference(a[i] as number, b[i] as number);
    if (excess(off, limit(i)) === 0) continue;
    count++;
    const ratio = off === Infinity ? off : off / limit(i);
    if (ratio > most) {
      at = i;
      most = ratio;
    }
  }
  if (count === 0) return undefined;
  const value = `got ${a[at]}, want ${b[at]}, ${most.toPrecision(3)} times the tolerance`;
  return `${count} of ${b.length} beyond rtol ${rtol}, atol ${atol}; worst ${indexOf(at, want.shape)}: ${value}`;
}

/** float64 x W^T + b. */
export function referenceLinear(x: GoldenTensor, weight: GoldenTensor, bias?: GoldenTensor): Float64Array {
  const [n, k] = weight.shape as [number, number];
  const [a, w, b] = [x.values(), weight.values(), bias?.values()];
  const y = new Float64Array((a.length / k) * n);
  for (let i = 0; i < y.length; i++) {
    const [row, col] = [Math.floor(i / n) * k, (i % n) * k];
    let sum = b ? (b[i % n] as number) : 0;
    for (let j = 0; j < k; j++) sum += (a[row + j] as number) * (w[col + j] as number);
    y[i] = sum;
  }
  return y;
}

/** What a role's SQNR is measured against: y = the layer in float64, anything else = the weight (or x) it stands for. */
async function signal(c: GoldenCase, role: string): Promise<ArrayLike<number>> {
  const { x, weight, bias } = await goldenInputs(c);
  if (role === 'y' && x && weight) return referenceLinear(x, weight, bias);
  return (weight ?? x)?.values() ?? fail(`${c.name} has neither weight nor x to measure ${role} against`);
}

async function compareNoise(c: GoldenCase, role: string, got: Found): Promise<string | undefined> {
  const want = c.sqnr_db?.[role];
  if (want === undefined) return undefined;
  const is = sqnr(await signal(c, role), got.values());
  return is >= want - DB_SLACK
    ? undefined
    : `SQNR is ${is.toFixed(4)} dB, torchao's ${want} dB, 0.1 dB lower is allowed`;
}

function compareGptq(role: string, got: Found, want: GoldenTensor): string | undefined {
  if (role !== 'objective') return undefined;
  const [a, b] = [Number(got.values()[0]), Number(want.values()[0])];
  return a <= b * GPTQ_SLACK ? undefined : `got ${a}, want at most 1% above ${b}`;
}

function compare(c: GoldenCase, role: string, got: Found, want: GoldenTensor): string | undefined {
  const rule = c.outputs[role] as GoldenOutput;
  if (got.dtype !== want.dtype) return `got dtype ${got.dtype}, want ${want.dtype}`;
  if (`${got.shape}` !== `${want.shape}`) return `got shape [${got.shape.join(', ')}], want [${want.shape.join(', ')}]`;
  if (got.bits.length !== want.bits.length) return `got ${got.bits.length} codes, want ${want.bits.length}`;
  if (c.op === 'gptq_linear' && /^(objective|qdata|dequant)$/.test(role)) return compareGptq(role, got, want);
  if (rule.agree === 'exact') return compareCodes(got, want, 0);
  if (rule.agree === 'mostly') return compareCodes(got, want, rule.max_mismatch ?? 0);
  return rule.agree === 'close' ? compareValues(got, want, rule) : undefined;
}

/** Rows of DEVIATIONS.md as [id, case, role]. */
export function deviations(markdown = readFileSync(goldenPath('DEVIATIONS.md'), 'utf8')): string[][] {
  const rows = markdown.split('\n').filter((line) => /^\| *D\d+ *\|/.test(line));
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, 4)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

function covered(c: GoldenCase, role: string, id: string): void {
  const rows = deviations().filter(([row, name = '', of]) => {
    const here = name.endsWith('*') ? c.name.startsWith(name.slice(0, -1)) : name === c.name;
    return row === id && here && of === role;
  });
  if (rows.length === 0) fail(`${c.name}: no row ${id} of DEVIATIONS.md covers the role '${role}'`);
}

/** Rejects, with case, role, index, got and want, unless all roles agree. */
export async function expectGolden(
  c: GoldenCase,
  outputs: Readonly<Record<string, Outcome>>,
  { only, except = {} }: GoldenOptions = {},
): Promise<void> {
  for (const role of [...Object.keys(outputs), ...(only ?? [])]) {
    if (!c.outputs[role]) fail(`${c.name} has no output '${role}', it has ${Object.keys(c.outputs).join(', ')}`);
  }
  const wanted = await goldenOutputs(c);
  const problems: string[] = [];
  for (const role of only ?? Object.keys(c.outputs)) {
    const outcome = outputs[role];
    if (except[role] !== undefined) {
      covered(c, role, except[role]);
    } else if (outcome) {
      const got = await read(outcome);
      const problem = compare(c, role, got, wanted[role] as GoldenTensor) ?? (await compareNoise(c, role, got));
      if (problem) problems.push(`${c.name}, ${role} (${c.outputs[role]?.agree}): ${problem}`);
    } else if (only || c.outputs[role]?.agree !== 'report' || c.sqnr_db?.[role] !== undefined) {
      problems.push(`${c.name}, ${role} (${c.outputs[role]?.agree}): not given`);
    }
  }
  if (problems.length > 0) fail(problems.join('\n'));
}
