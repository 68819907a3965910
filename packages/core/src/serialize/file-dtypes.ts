/**
 * The element types a safetensors file may name: their sizes in bits, in the reference implementation's order, which is
 * also the order its writer sorts by (descending). Names without a DType here are opaque bytes of known size.
 */
import { dtypes } from '../dtypes/index.ts';

const TABLE: readonly (readonly [name: string, bits: number])[] = [
  ['BOOL', 8],
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['F8_E4M3FNUZ', 8],
  ['F8_E5M2FNUZ', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C64', 64],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
];

const BITS: ReadonlyMap<string, number> = /*@__PURE__*/ new Map(TABLE);

/** Bits of one element, or undefined for a name nobody defined. Packages' own dtypes count. */
export function fileDtypeBits(name: string): number | undefined {
  return BITS.get(name) ?? dtypes().find((d) => d.safetensors === name)?.bits;
}

export const fileDtypeNames = (): string[] => [...new Set([...BITS.keys(), ...dtypes().map((d) => d.safetensors)])];

/** Place in the writer's order; a package's own dtype comes after the listed ones that are not wider. */
export function fileDtypeRank(name: string): number {
  const at = TABLE.findIndex(([known]) => known === name);
  if (at >= 0) return at;
  const bits = fileDtypeBits(name) ?? 0;
  return TABLE.findLastIndex(([, b]) => b <= bits) + 0.5;
}

/** Bytes of a tensor, or the reason why there is no such number. */
export function fileTensorBytes(dtype: string, shape: readonly number[]): number | string {
  const bits = fileDtypeBits(dtype);
  if (bits === undefined) return `the dtype '${dtype}' is none of ${fileDtypeNames().join(', ')}`;
  const total = shape.includes(0) ? 0 : shape.reduce((n, d) => n * d, 1) * bits;
  if (total > Number.MAX_SAFE_INTEGER) return `shape [${shape.join(', ')}] of ${dtype} has more than 2^53 bits`;
  return total % 8 === 0 ? total / 8 : `shape [${shape.join(', ')}] of ${dtype} is not a whole number of bytes`;
}
