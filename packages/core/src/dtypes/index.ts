/** The built-in dtypes and their lookup by torch's name and by the name in safetensors files. */
import type { DType } from '../dtype.ts';
import { AoError } from '../errors.ts';
import { shared } from '../identity.ts';
import { bfloat16 } from './bfloat16.ts';
import { bool } from './bool.ts';
import { float8_e4m3fn } from './float8-e4m3fn.ts';
import { float8_e5m2 } from './float8-e5m2.ts';
import { float8_e8m0fnu } from './float8-e8m0fnu.ts';
import { float8_e4m3fnuz, float8_e5m2fnuz } from './float8-fnuz.ts';
import { float16 } from './float16.ts';
import { float32 } from './float32.ts';
import { float64 } from './float64.ts';
import { int8 } from './int8.ts';
import { int32 } from './int32.ts';
import { int64 } from './int64.ts';
import { uint8 } from './uint8.ts';

export type { Operand } from './promote.ts';
export { promoteTypes, resultType } from './promote.ts';
export {
  bfloat16,
  bool,
  float8_e4m3fn,
  float8_e4m3fnuz,
  float8_e5m2,
  float8_e5m2fnuz,
  float8_e8m0fnu,
  float16,
  float32,
  float64,
  int8,
  int32,
  int64,
  uint8,
};

const BUILT_IN = /*@__PURE__*/ Object.freeze([
  float32,
  float16,
  bfloat16,
  float8_e4m3fn,
  float8_e5m2,
  int8,
  uint8,
  int32,
  int64,
  bool,
  float64,
  float8_e8m0fnu,
  float8_e4m3fnuz,
  float8_e5m2fnuz,
] as readonly DType[]);

/** Every dtype known to this process: the built-in ones first, then those that packages defined. */
export function dtypes(): readonly DType[] {
  const defined = (shared().tables.get('dtype') as ReadonlyMap<string, DType> | undefined)?.values() ?? [];
  return [...new Set([...BUILT_IN, ...defined])];
}

function find(by: 'name' | 'safetensors', value: string): DType {
  const found = dtypes().find((d) => d[by] === value);
  if (found) return found;
  const names = dtypes().map((d) => d[by]);
  throw new AoError('ERR_AO_DTYPE', `no dtype has the ${by === 'name' ? '' : 'safetensors '}name '${value}'`, {
    fix: `use one of ${names.join(', ')}`,
  });
}

/** By torch's name, with or without its prefix: 'bfloat16', 'torch.bfloat16'. */
export const dtypeByName = (name: string): DType => find('name', name.replace(/^torch\./, ''));

/** By the name in safetensors files: 'BF16', 'F8_E4M3'. */
export const dtypeBySafetensors = (name: string): DType => find('safetensors', name);
