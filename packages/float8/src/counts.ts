// How many values of each operand fell outside float8 in the casts of a Float8Linear: int32 [3 operands, 2], added up on the device, so
// that captured steps count too.
import {
  abs,
  add,
  cast,
  cat,
  copy_,
  type DType,
  float8_e4m3fn,
  float32,
  gt,
  type Module,
  mul,
  ne,
  reshape,
  select,
  sub,
  sum,
  type Tensor,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { trainingTensors } from './swap-linears.ts';

const OPERANDS = ['input', 'weight', 'gradOutput'] as const;
export type Operand = (typeof OPERANDS)[number];

export const COUNTS_SHAPE: readonly number[] = [OPERANDS.length, 2];

/** Where rounding would go past the largest value: half a step above it. */
const limitOf = (dtype: DType): number => dtype.max + (dtype.max * 2 ** (dtype === float8_e4m3fn ? -4 : -3)) / 1.75;

/** Adds those of x by its scale to the operand's row. */
export function countOutOfRange(counts: Tensor, operand: Operand, x: Tensor, scale: Tensor, dtype: DType): void {
  noGrad(() => {
    const values = cast(x, float32);
    const saturated = sum(gt(abs(mul(values, scale)), limitOf(dtype)));
    const nonFinite = sum(ne(sub(values, values), 0));
    const row = select(counts, 0, OPERANDS.indexOf(operand));
    copy_(row, add(row, cat([reshape(saturated, [1]), reshape(nonFinite, [1])])));
  });
}

export interface OperandCounts {
  /** Values that the largest code stands for, though rounding alone would not have brought them there. */
  readonly saturated: number;
  readonly nonFinite: number;
}

export interface Float8Counts extends Readonly<Record<Operand, OperandCounts>> {
  readonly module: string;
}

/**
 * Counts of each layer converted with countValues since then, or since the last reset; what is not 0 is also said to the runtime's log,
 * once a layer.
 */
export async function float8Counts(model: Module, { reset = false } = {}): Promise<Float8Counts[]> {
  const found: Float8Counts[] = [];
  for (const [, t] of trainingTensors(model)) {
    if (t.counts === undefined) continue;
    const values = Array.from(await t.counts.data(), Number);
    const of = (i: number): OperandCounts => ({ saturated: values[2 * i]!, nonFinite: values[2 * i + 1]! });
    const row = { module: t.attrs.fqn, input: of(0), weight: of(1), gradOutput: of(2) };
    found.push(row);
    if (reset) noGrad(() => copy_(t.counts!, mul(t.counts!, 0)));
    const said = OPERANDS.filter((o) => row[o].saturated + row[o].nonFinite > 0).map(
      (o) => `${o}: ${row[o].saturated} saturated, ${row[o].nonFinite} not finite`,
    );
    if (said.length === 0) continue;
    t.rt.say({ level: 'warn', code: 'float8_counts', message: `${row.module}: ${said.join('; ')}` }, row.module);
  }
  return found;
}
