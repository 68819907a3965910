/**
 * torch's type promotion for elementwise ops (promote_types, result_type). bool < int < float; within a category the
 * wider wins; float16 with bfloat16 is float32; float8 promotes with nothing. Tensors of rank 0 and then numbers count
 * only where they raise the category. A number is an int when integral, else a float: JavaScript has no 2.0.
 */
import type { DType } from '../dtype.ts';
import { AoError } from '../errors.ts';
import { bool } from './bool.ts';
import { float32 } from './float32.ts';
import { int32 } from './int32.ts';

const RANK = { bool: 0, int: 1, float: 2 } as const;

/** torch.promote_types. */
export function promoteTypes(a: DType, b: DType): DType {
  if (a === b) return a;
  for (const t of [a, b]) {
    if (t.category === 'float' && t.bits <= 8) {
      throw new AoError('ERR_AO_DTYPE', `${a.name} and ${b.name} have no common dtype: float8 promotes with nothing`, {
        fix: 'cast one operand with to()',
      });
    }
  }
  if (a.category !== b.category) return RANK[a.category] > RANK[b.category] ? a : b;
  if (a.bits !== b.bits) return a.bits > b.bits ? a : b;
  if (a.category === 'float' && a.bits < 32) return float32;
  throw new AoError('ERR_AO_DTYPE', `${a.name} and ${b.name} have no common dtype here (torch answers int16)`, {
    fix: 'cast both operands to int32',
  });
}

export type Operand = number | boolean | { readonly dtype: DType; readonly shape: readonly number[] };

const join = (a: DType | undefined, b: DType | undefined): DType | undefined =>
  a && b ? promoteTypes(a, b) : (a ?? b);

/** `strong` decides, unless `weak` is of a higher category. */
function combine(strong: DType | undefined, weak: DType | undefined): DType | undefined {
  if (!strong || !weak) return strong ?? weak;
  return RANK[weak.category] > RANK[strong.category] ? promoteTypes(strong, weak) : strong;
}

const ofNumber = (x: number | boolean): DType =>
  typeof x === 'boolean' ? bool : Number.isInteger(x) ? int32 : float32;

/** torch.result_type of the operands of one elementwise op, with float32 as the default dtype and int32 as the int. */
export function resultType(...operands: readonly Operand[]): DType {
  let full: DType | undefined;
  let scalar: DType | undefined;
  let number: DType | undefined;
  for (const x of operands) {
    if (typeof x === 'number' || typeof x === 'boolean') number = join(number, ofNumber(x));
    else if (x.shape.length > 0) full = join(full, x.dtype);
    else scalar = join(scalar, x.dtype);
  }
  return combine(full, combine(scalar, number)) ?? float32;
}
