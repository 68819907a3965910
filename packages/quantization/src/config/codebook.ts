// Codebooks: each weight is one of 2^b values that k-means finds, for the whole tensor (CodebookWeightOnlyConfig) or for rows or
// columns of it (GroupwiseLutWeightConfig).
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, dtypeName, type Field, int, ints, oneOf, optional, text } from './field.ts';

export type UintDType = 'uint1' | 'uint2' | 'uint3' | 'uint4' | 'uint5' | 'uint6' | 'uint7' | 'uint8';
const UINTS: readonly UintDType[] = /*@__PURE__*/ Object.freeze([
  'uint1',
  'uint2',
  'uint3',
  'uint4',
  'uint5',
  'uint6',
  'uint7',
  'uint8',
]);
const CODES = /*@__PURE__*/ Object.freeze(['int1', 'int2', 'int3', 'int4', 'int5', 'int6', 'int7', 'int8']);

export interface CodebookWeightOnlyConfig {
  readonly type: 'CodebookWeightOnlyConfig';
  readonly dtype: UintDType;
  readonly blockSize: readonly number[];
  /** Values of a row that share a scale; null: none. */
  readonly scaleBlockSize: number | null;
}

export interface CodebookWeightOnlyOptions {
  dtype?: UintDType;
  /** [1, 1]: one code a value. */
  blockSize?: readonly number[];
  scaleBlockSize?: number | null;
  version?: number;
}

export interface GroupwiseLutWeightConfig {
  readonly type: 'GroupwiseLutWeightConfig';
  readonly codeDtype: string;
  readonly weightDtype: string;
  readonly backend: string;
  /** [N, -1]: N rows share a table; [-1, K]: K columns. */
  readonly lutBlockShape: readonly number[];
  readonly scaleBlockShape: readonly number[] | null;
  readonly useQdqReference: boolean;
  readonly target: string | null;
  readonly cacheDir: string | null;
  readonly hasScale: boolean;
}

export interface GroupwiseLutWeightOptions {
  codeDtype?: string;
  weightDtype?: string;
  backend?: 'auto' | 'scale' | 'coreml';
  lutBlockShape?: readonly number[];
  scaleBlockShape?: readonly number[] | null;
  useQdqReference?: boolean;
  target?: string | null;
  cacheDir?: string | null;
  hasScale?: boolean;
  version?: number;
}

const uintDtype: Field<UintDType> = /*@__PURE__*/ dtypeName<UintDType>(UINTS);
const codeDtype: Field<string> = /*@__PURE__*/ dtypeName([...CODES, ...UINTS]);
const weightDtype: Field<string> = /*@__PURE__*/ dtypeName(['float32', 'float16', 'bfloat16']);

export const codebookWeightOnlySpec: ConfigSpec<CodebookWeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'CodebookWeightOnlyConfig',
  version: 1,
  fields: {
    dtype: /*@__PURE__*/ field<UintDType>(uintDtype, 'uint4'),
    blockSize: /*@__PURE__*/ field<readonly number[]>(ints, [1, 1]),
    scaleBlockSize: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(int), null),
  },
  check: ({ type, blockSize, scaleBlockSize }) => {
    if (blockSize.length !== 2 || blockSize.some((b) => b !== 1)) {
      throw configError(`${type}: blocks of [${blockSize}] values share a code`, 'use blockSize: [1, 1]');
    }
    if (scaleBlockSize !== null && scaleBlockSize < 1)
      throw configError(`${type}: scaleBlockSize is ${scaleBlockSize}`, 'use 64, or null for none');
  },
  scheme: ({ dtype, scaleBlockSize }) =>
    `codebook${dtype.slice(4)}wo${scaleBlockSize === null ? '' : `-${scaleBlockSize}`}`,
});

export const groupwiseLutWeightSpec: ConfigSpec<GroupwiseLutWeightConfig> = /*@__PURE__*/ configSpec({
  type: 'GroupwiseLutWeightConfig',
  version: 1,
  fields: {
    codeDtype: /*@__PURE__*/ field<string>(codeDtype, 'int4'),
    weightDtype: /*@__PURE__*/ field<string>(weightDtype, 'float32'),
    backend: /*@__PURE__*/ field<string>(/*@__PURE__*/ oneOf('auto', 'scale', 'coreml'), 'auto'),
    lutBlockShape: /*@__PURE__*/ field<readonly number[]>(ints, [2, -1]),
    scaleBlockShape: /*@__PURE__*/ field<readonly number[] | null>(/*@__PURE__*/ optional(ints), null),
    useQdqReference: /*@__PURE__*/ field(bool, false),
    target: /*@__PURE__*/ field<string | null>(/*@__PURE__*/ optional(text), null),
    cacheDir: /*@__PURE__*/ field<string | null>(/*@__PURE__*/ optional(text), null),
    hasScale: /*@__PURE__*/ field(bool, false),
  },
  check: ({ type, lutBlockShape: shape, hasScale }) => {
    const fits =
      shape.length === 2 && shape.filter((n) => n === -1).length === 1 && shape.every((n) => n === -1 || n > 0);
    if (!fits)
      throw configError(`${type}: lutBlockShape is [${shape}]`, 'use [N, -1] for N rows or [-1, K] for K columns');
    if (hasScale) throw configError(`${type}: hasScale is not supported, as in torchao`, 'leave it out');
  },
  scheme: ({ codeDtype: c, lutBlockShape: [rows = -1, columns = -1] }) =>
    `lut${c.replace(/\D/g, '')}wo-${rows === -1 ? `${columns}c` : `${rows}r`}`,
});

/** `quantize_(model, codebookWeightOnly({ dtype: 'uint4' }))`. */
export function codebookWeightOnly(options: CodebookWeightOnlyOptions = {}): CodebookWeightOnlyConfig {
  return makeConfig(codebookWeightOnlySpec, { ...options });
}

/** `quantize_(model, groupwiseLutWeight({ lutBlockShape: [4, -1] }))`. */
export function groupwiseLutWeight(options: GroupwiseLutWeightOptions = {}): GroupwiseLutWeightConfig {
  return makeConfig(groupwiseLutWeightSpec, { ...options });
}
