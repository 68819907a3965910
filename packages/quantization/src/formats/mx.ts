// MX, blocks of a row that share a power of two (OCP Microscaling Formats v1.0, 6.3; torchao's to_mx):
//   X = 2^e, q = element(x / X) saturated; e from the block's amax, emax the exponent of the element's largest value:
//   FLOOR floor(log2 amax) - emax;  CEIL ceil(log2 amax) - emax;  EVEN as FLOOR, amax rounded to the element's mantissa first;
//   RCEIL ceil(log2(amax / largest)), log2 rounded to float32 as torch has it: a few ulps above a power of two do not count
// Scales are e8m0: the byte e + 127, 255 for a block with NaN. e4m3 and e5m2 codes are float8, fp6 a byte each, fp4 two a byte.
import {
  abs,
  add,
  amax,
  cast,
  clamp,
  type Dense,
  type DType,
  div,
  dtypeByName,
  eq,
  exponentOf,
  f32ToFloatxUnpacked,
  float8_e8m0fnu,
  float32,
  floatxUnpackedToF32,
  floatxValues,
  floor,
  gt,
  int32,
  lt,
  maximum,
  mul,
  ne,
  powerOfTwo,
  reshape,
  sub,
  type Tensor,
  uint8,
  unsqueeze,
  viewDtype,
  where,
} from '@ao/core';
import type { MXDtype, ScaleCalculationMode } from '../config/float-fields.ts';
import { float8Table } from '../kinds/float8-tensor.ts';
import { cropped, padded } from '../kinds/short-blocks.ts';
import { packUint4, unpackUint4 } from './nibbles.ts';

interface Element {
  /** Exponent of the largest value. */
  readonly emax: number;
  readonly ebits: number;
  readonly mbits: number;
  readonly max: number;
  /** A float8 dtype of its own. */
  readonly float8?: boolean;
}

const ELEMENTS: Readonly<Record<MXDtype, Element>> = /*@__PURE__*/ Object.freeze({
  float8_e4m3fn: { emax: 8, ebits: 4, mbits: 3, max: 448, float8: true },
  float8_e5m2: { emax: 15, ebits: 5, mbits: 2, max: 57344, float8: true },
  fp6_e2m3: { emax: 2, ebits: 2, mbits: 3, max: 7.5 },
  fp6_e3m2: { emax: 4, ebits: 3, mbits: 2, max: 28 },
  float4_e2m1fn_x2: { emax: 2, ebits: 2, mbits: 1, max: 6 },
});

export const isFp4 = (elem: MXDtype): boolean => elem === 'float4_e2m1fn_x2';

/** Bits of an element. */
export const mxBits = (elem: MXDtype): number => 1 + ELEMENTS[elem].ebits + ELEMENTS[elem].mbits;

const tables = /*@__PURE__*/ new Map<MXDtype, Float32Array>();

/** The value of each code of an element. */
export function mxTable(elem: MXDtype): Float32Array {
  const { ebits, mbits, float8 } = ELEMENTS[elem];
  if (float8) return float8Table(elem);
  const table = tables.get(elem) ?? floatxValues(ebits, mbits);
  tables.set(elem, table);
  return table;
}

const BIAS = 127;

/** ceil(log2 d) where log2 is rounded to float32 first. */
function ceilLog2(d: Tensor): Tensor {
  const e = exponentOf(d);
  const size = abs(e);
  const k = maximum(exponentOf(size), -1);
  // Below a power of two in size, floats lie twice as dense; there negative exponents come from.
  const dense = where(lt(e, 0), where(eq(size, powerOfTwo(k)), 1, 0), 0);
  const ulps = floor(mul(powerOfTwo(maximum(sub(sub(k, dense), 1), -2)), Math.LN2));
  const edge = mul(powerOfTwo(e), add(mul(ulps, 2 ** -23), 1));
  return add(e, where(gt(d, edge), 1, 0));
}

/** e + 127 of each block, float32 whole numbers 0..255, from amax [...]. */
function scaleCodes(peak: Tensor, elem: MXDtype, mode: ScaleCalculationMode): Tensor {
  const { emax, mbits, max } = ELEMENTS[elem];
  let exponent: Tensor;
  if (mode === 'RCEIL') exponent = ceilLog2(div(peak, max));
  else if (mode === 'EVEN') {
    const up = viewDtype(add(viewDtype(peak, int32), 2 ** (22 - mbits)), float32);
    exponent = sub(exponentOf(up), emax);
  } else {
    const e = exponentOf(peak);
    exponent = sub(mode === 'CEIL' ? add(e, where(gt(peak, powerOfTwo(e)), 1, 0)) : e, emax);
  }
  const code = add(clamp(exponent, -BIAS, mode === 'RCEIL' ? BIAS : BIAS + 1), BIAS);
  return where(ne(peak, peak), 255, code);
}

function encode(values: Tensor, elem: MXDtype): Tensor {
  const { ebits, mbits, max, float8 } = ELEMENTS[elem];
  if (float8) return cast(clamp(values, -max, max), dtypeByName(elem));
  const codes = f32ToFloatxUnpacked(values, ebits, mbits);
  return isFp4(elem) ? packUint4(codes) : codes;
}

/** uint8 codes, one a byte -> float32 values. */
export function decodeMx(codes: Tensor, elem: MXDtype): Tensor {
  const { ebits, mbits, float8 } = ELEMENTS[elem];
  if (float8) return cast(viewDtype(codes, dtypeByName(elem)), float32);
  return floatxUnpackedToF32(codes, ebits, mbits);
}

/** qdata of an MX tensor -> uint8 codes [..., K], one a byte. */
export const mxCodes = (qdata: Tensor, elem: MXDtype, columns: number): Tensor =>
  isFp4(elem) ? unpackUint4(qdata, columns) : viewDtype(qdata, uint8);

/** The inverse: uint8 codes -> qdata. */
export const mxQdata = (codes: Tensor, elem: MXDtype): Tensor =>
  isFp4(elem) ? packUint4(codes) : ELEMENTS[elem].float8 ? viewDtype(codes, dtypeByName(elem)) : codes;

/** e8m0 -> float32. */
export function e8m0ToF32(scale: Tensor): Tensor {
  const code = cast(viewDtype(scale, uint8), float32);
  const value = powerOfTwo(sub(clamp(code, 1, 254), BIAS));
  return where(eq(code, 255), Number.NaN, where(eq(code, 0), 2 ** -BIAS, value));
}

export interface MXParts {
  /** e8m0 [..., ceil(K / blockSize)]. */
  readonly scale: Tensor;
  readonly qdata: Tensor;
}

/** x [..., K] in blocks of a row; the last block may be short. */
export function toMx(x: Tensor, elem: MXDtype, blockSize: number, mode: ScaleCalculationMode): MXParts {
  const K = x.shape.at(-1) as number;
  const block = x.shape.map((_, i) => (i === x.ndim - 1 ? blockSize : 1));
  const whole = padded(cast(x, float32), block);
  const blocks = reshape(whole, [...x.shape.slice(0, -1), -1, blockSize]);
  const code = scaleCodes(amax(abs(blocks), x.ndim), elem, mode);
  // Scale 0 stands for 2^-127; torch multiplies by 1 (RCEIL) or divides by the smallest normal number there.
  const inverse =
    mode === 'RCEIL'
      ? where(eq(code, 0), 1, powerOfTwo(sub(BIAS, clamp(code, 1, 253))))
      : powerOfTwo(sub(BIAS, clamp(code, 1, 253)));
  const values = reshape(mul(blocks, unsqueeze(inverse, x.ndim)), whole.shape);
  const scale = viewDtype(cast(code, uint8), float8_e8m0fnu);
  return { scale, qdata: encode(cropped(values, [...x.shape.slice(0, -1), K]), elem) };
}

/** Values in `dtype` [..., columns] from qdata and scales [..., ceil(columns / blockSize)]. */
export function fromMx(
  { qdata, scale }: MXParts,
  elem: MXDtype,
  blockSize: number,
  columns: number,
  dtype: DType,
): Dense {
  const lead = qdata.shape.slice(0, -1);
  const codes = mxCodes(qdata, elem, columns);
  const block = codes.shape.map((_, i) => (i === codes.ndim - 1 ? blockSize : 1));
  const values = reshape(decodeMx(padded(codes, block), elem), [...lead, -1, blockSize]);
  const scaled = mul(values, unsqueeze(e8m0ToF32(scale), qdata.ndim));
  return cropped(cast(reshape(scaled, [...lead, -1]), dtype), [...lead, columns]) as Dense;
}
