// Packing: canonical codes, scales and zero points to the panels of kernels/cpu/gemm/packed.h, and back bit for bit.
import * as ao from '@ao/core';
import {
  type Dense,
  type DType,
  empty,
  type PackedWeight,
  type Packer,
  type WeightFormat,
  type WeightParts,
} from '@ao/core';
import type { CpuBackend } from '../backend.ts';
import { address, addressOr, calls } from './support.ts';

/** AO_INT4 and AO_TABLE of include/ao/weights.h; the other codes are dtypes. */
const INT4 = 16;
const TABLE = 17;
/** AO_TWO_OF_FOUR, added to a code. */
const TWO_OF_FOUR = 256;
const CODES: Readonly<Partial<Record<WeightFormat['code'], number>>> = {
  float32: ao.float32.code,
  float16: ao.float16.code,
  bfloat16: ao.bfloat16.code,
  int8: ao.int8.code,
  int4: INT4,
  table: TABLE,
};
const ZERO_DOMAINS = ['none', 'int', 'float'] as const;
const ACTIVATIONS = ['exact', 'int8-group', 'int8-token', 'int8-token-asym'] as const;

export const codeOf = (f: WeightFormat): number =>
  CODES[f.code] === undefined ? -1 : CODES[f.code]! + (f.twoOfFour ? TWO_OF_FOUR : 0);
export const zeroDomainOf = (f: WeightFormat): number => ZERO_DOMAINS.indexOf(f.zeroDomain);
/** Bits of a code; 0 where the code says it. */
export const bitsOf = (f: WeightFormat): number =>
  f.table === undefined ? (f.code === 'int8' || f.code === 'table' ? (f.bits ?? 8) : 0) : Math.log2(f.table.length);
/** The values of a table's codes on the weight's device, captured calls included. */
export function tableOf({ table }: WeightFormat, codes: Dense): Dense | undefined {
  if (table === undefined) return undefined;
  const values = empty(codes.rt, [table.length], { device: codes.device });
  const bytes = new Uint8Array(table.buffer, table.byteOffset, table.byteLength);
  (values.storage.backend as CpuBackend).constant(values.storage.buffer, bytes);
  return values;
}
export const activationOf = (f: WeightFormat): number => ACTIVATIONS.indexOf(f.activation);

/** ao_act_flags of include/ao/weights.h. */
export const tokenFlags = ({ tokens = {} }: WeightFormat): number =>
  (tokens.reducedRange ? 1 : 0) + (tokens.oneScale ? 2 : 0) + (tokens.exactRow ? 4 : 0) + (tokens.rowScales ? 8 : 0);

export class CpuPackedWeight implements PackedWeight {
  readonly device: string;
  readonly format: WeightFormat;
  readonly dtype: DType;
  readonly data: Dense;
  readonly actScale: Dense | undefined;
  readonly actZero: Dense | undefined;
  readonly inputScale: Dense | undefined;
  readonly #codes: DType;
  readonly #scale: DType | undefined;
  readonly #zero: DType | undefined;

  constructor(parts: WeightParts, dtype: DType, data: Dense) {
    this.device = data.device;
    this.format = parts.format;
    this.dtype = dtype;
    this.data = data;
    this.actScale = parts.actScale;
    this.actZero = parts.actZero;
    this.inputScale = parts.inputScale;
    this.#codes = parts.codes.dtype;
    this.#scale = parts.scale?.dtype;
    this.#zero = parts.zero?.dtype;
  }

  unpack(): WeightParts {
    const { N, K, groupSize, code } = this.format;
    const { rt } = this.data;
    const make = (shape: number[], dtype: DType) => empty(rt, shape, { dtype, device: this.device });
    const columns = this.format.twoOfFour ? K / 2 : K;
    const codes = make([N, code === 'int4' ? Math.ceil(columns / 2) : columns], this.#codes);
    const meta = this.format.twoOfFour && make([N, K / 8], ao.uint8);
    const groups = Math.ceil(K / groupSize);
    const scale = this.#scale && make([N, groups], this.#scale);
    const zero = this.#zero && make([N, groups], this.#zero);
    const plain = [address(codes), addressOr(scale), addressOr(zero)] as const;
    calls(this.data).unpack_weight(...plain, address(this.data), N, K, 0, N, addressOr(meta || undefined));
    const { actScale, actZero, inputScale } = this;
    const known = { ...(actScale && { actScale }), ...(actZero && { actZero }), ...(inputScale && { inputScale }) };
    return {
      format: this.format,
      codes,
      ...(scale && { scale }),
      ...(zero && { zero }),
      ...(meta && { meta }),
      ...known,
    };
  }

  guard(): void {
    this.data.guard();
  }

  dispose(): void {
    this.data.dispose();
  }
}

export const cpuPacker: Packer = {
  pack(parts, dtype) {
    const { format: f, codes, scale, zero } = parts;
    const backend = codes.storage.backend as CpuBackend;
    backend.refuseWhileCapturing('prepare');
    const [scaleType, zeroType] = [scale?.dtype.code ?? 0, zero?.dtype.code ?? 0];
    const size = backend.weightPackedSize(
      codeOf(f),
      f.N,
      f.K,
      f.groupSize,
      zeroDomainOf(f),
      scaleType,
      zeroType,
      bitsOf(f),
      activationOf(f),
    );
    if (size < 0) return null;
    const data = empty(codes.rt, [size], { dtype: ao.uint8, device: codes.device });
    const plain = [codes, scale, zero, parts.meta].map((t) =>
      t === undefined ? undefined : (ao.contiguous(t) as Dense),
    );
    calls(codes).pack_weight(
      address(data),
      address(plain[0] as Dense),
      addressOr(plain[1]),
      addressOr(plain[2]),
      codeOf(f),
      f.N,
      f.K,
      f.groupSize,
      zeroDomainOf(f),
      scaleType,
      zeroType,
      activationOf(f),
      0,
      f.N,
      bitsOf(f),
      addressOr(parts.table ?? tableOf(f, codes)),
      addressOr(plain[3]),
    );
    return new CpuPackedWeight(parts, dtype, data);
  },
};
