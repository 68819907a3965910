// Packed weights: a backend's private layout of a frozen weight. `prepare` makes them, linear and embedding run on them,
// everything else sees the plain bytes through `unpack`, bit for bit.
import type { DType } from './dtype.ts';
import type { Dense } from './tensor.ts';

/** How activations meet an integer weight; plain data on the weight, never a run-time guess. */
export type Activation = 'exact' | 'int8-group' | 'int8-token' | 'int8-token-asym';

/** How linear and embedding read a weight of any kind: w[n,k] from codes, scales and zero points. */
export interface WeightFormat {
  /**
   * int4: two's complement nibbles in int8 bytes [N, K/2], the low nibble is the even column. table: uint8 [N, K], a code
   * a byte, whose value `table` says, or the weight's part of that name.
   */
  readonly code: 'float32' | 'bfloat16' | 'float16' | 'int8' | 'int4' | 'table';
  /**
   * Of int8: codes lie within -2^(bits-1) .. 2^(bits-1) - 1, so that packing may take that many bits. Default 8. Of a table
   * that is a part: its 2^bits values.
   */
  readonly bits?: number;
  /** Of table: the value of each code, 2^b of them for codes of b = 1 to 8 bits; q below is that value. */
  readonly table?: Float32Array;
  readonly N: number;
  readonly K: number;
  /** Values that share a scale along K; K itself = one scale a row. The last of ceil(K / groupSize) groups may be shorter. */
  readonly groupSize: number;
  /** none: w = q*s; int: w = (q - z)*s; float: w = q*s + z (torchao's Int4Tensor). */
  readonly zeroDomain: 'none' | 'int' | 'float';
  readonly activation: Activation;
  /** Of each four columns two are there: codes are [N, K / 2], and `meta` of the parts says which columns they are. */
  readonly twoOfFour?: boolean;
  /** Of the int8-token activations: how they depart from one scale a row and all of int8. */
  readonly tokens?: TokenOptions;
}

export interface TokenOptions {
  /** Codes from -64 to 63: pairs of products fit 16 bits. */
  readonly reducedRange?: boolean;
  /** One scale for all rows of x; where a weight has `actScale`, that one. */
  readonly oneScale?: boolean;
  /** `actScale` and `actZero` have a value for each row of x: such a weight meets batches of that many rows alone. */
  readonly rowScales?: boolean;
  /** A single row of x is not quantized. */
  readonly exactRow?: boolean;
}

/** Scales of a row. */
export const groupsOf = (f: WeightFormat): number => Math.ceil(f.K / f.groupSize);

/** The plain tensors of a weight: codes [N, K] row-major, scale and zero [N, ceil(K / groupSize)]. */
export interface WeightParts {
  readonly format: WeightFormat;
  readonly codes: Dense;
  readonly scale?: Dense;
  readonly zero?: Dense;
  /** uint8 [N, K / 8] of a twoOfFour weight: for each four columns, from the low bits up, its two columns in ascending order, 2 bits each. */
  readonly meta?: Dense;
  /** float32 [2^bits]: the values of code table where they are data of the device and `format` has none. */
  readonly table?: Dense;
  /** float32 and int8, one value each or one a row (`rowScales`): how x becomes int8 where that is known beforehand. They live as long as the weight. */
  readonly actScale?: Dense;
  readonly actZero?: Dense;
  /** [K], lives as long as the weight: linear multiplies x by it first, rounded to x's dtype; the gradient of x is scaled so too. */
  readonly inputScale?: Dense;
}

export interface PackedWeight {
  readonly device: string;
  readonly format: WeightFormat;
  /** dtype of the decoded values and of the codes. */
  readonly dtype: DType;
  /** The packed bytes. */
  readonly data: Dense;
  unpack(): WeightParts;
  guard(): void;
  dispose(): void;
}

/** A backend's packing: null where it has no layout for the format, so that the plain path serves it. */
export interface Packer {
  pack(parts: WeightParts, dtype: DType): PackedWeight | null;
}
