// What keys and values are kept in: generate's kvCache -> the rows of a cache. Codes have a scale for each token and head.
//   bytes of a row of D values: 4 D (float32), 2 D (bf16), D + 4 (int8), D / 2 + 4 (int4); 4 more where rows are asymmetric
import { AoError, bfloat16, type CodeRows, codeRowBytes, type DType, uint8 } from '@ao/core';

const CODES: Readonly<Record<string, CodeRows>> = {
  int8: { bits: 8, asymmetric: false },
  'int8-asym': { bits: 8, asymmetric: true },
  int4: { bits: 4, asymmetric: false },
  'int4-asym': { bits: 4, asymmetric: true },
};

/** 'auto': as the model computes them. Symmetric codes are scaled by a row's largest magnitude, -asym ones from its least to its largest value. */
export type CacheFormat = 'auto' | 'bf16' | 'int8' | 'int8-asym' | 'int4' | 'int4-asym';

/** One for both, or one for each; attention is more sensitive to keys. */
export type KVCacheFormat = CacheFormat | { readonly keys: CacheFormat; readonly values: CacheFormat };

export const CACHE_FORMATS: readonly CacheFormat[] = ['auto', 'bf16', ...(Object.keys(CODES) as CacheFormat[])];

/** Rows of D values: of a float dtype [.., D], or uint8 [.., R] of codes. */
export interface CacheRows {
  readonly dtype: DType;
  readonly rows: CodeRows | undefined;
}

export interface CacheLayout {
  readonly keys: CacheRows;
  readonly values: CacheRows;
}

export const isCacheFormat = (value: unknown): value is KVCacheFormat =>
  typeof value === 'object' && value !== null
    ? ['keys', 'values'].every((name) => CACHE_FORMATS.includes((value as Record<string, CacheFormat>)[name]!))
    : CACHE_FORMATS.includes(value as CacheFormat);

/** `dtype`: what the model computes in. */
export function cacheLayout(format: KVCacheFormat, dtype: DType): CacheLayout {
  if (!isCacheFormat(format)) {
    throw new AoError('ERR_AO_CONFIG', `a cache of ${JSON.stringify(format)}`, {
      fix: `use ${CACHE_FORMATS.join(', ')}, or { keys, values } of these`,
    });
  }
  const { keys, values } = typeof format === 'string' ? { keys: format, values: format } : format;
  return { keys: rowsOf(keys, dtype), values: rowsOf(values, dtype) };
}

function rowsOf(format: CacheFormat, dtype: DType): CacheRows {
  if (format === 'auto') return { dtype, rows: undefined };
  return format === 'bf16' ? { dtype: bfloat16, rows: undefined } : { dtype: uint8, rows: CODES[format] };
}

/** Elements of a row of D values, its last dimension. */
export const rowElements = ({ rows }: CacheRows, headDim: number): number =>
  rows === undefined ? headDim : codeRowBytes(rows, headDim);

export const rowBytes = (part: CacheRows, headDim: number): number => rowElements(part, headDim) * part.dtype.itemsize;

/** 'float32', 'int8,int4-asym', ...: equal for equal layouts. */
export function layoutName({ keys, values }: CacheLayout): string {
  const [a, b] = [keys, values].map(({ dtype, rows }) =>
    rows === undefined ? dtype.name : `int${rows.bits}${rows.asymmetric ? '-asym' : ''}`,
  ) as [string, string];
  return a === b ? a : `${a},${b}`;
}
