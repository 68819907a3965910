export { AoError, isAoError } from './errors.ts';
export type { ErrorCode, ErrorDetails } from './errors.ts';
export { decodeArray, decodeValues, defineDType, encodeArray, encodeSaturated, rawView } from './dtype.ts';
export type { DType, EncodeOptions, RawArray, ValueArray } from './dtype.ts';
export {
  bfloat16,
  bool,
  dtypeByName,
  dtypeBySafetensors,
  dtypes,
  float16,
  float32,
  float64,
  float8_e4m3fn,
  float8_e5m2,
  int32,
  int64,
  int8,
  promoteTypes,
  resultType,
  uint8,
} from './dtypes/index.ts';
export type { Operand } from './dtypes/index.ts';
