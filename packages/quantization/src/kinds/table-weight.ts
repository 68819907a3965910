// What kinds share whose codes are looked up: linear and embedding by a WeightFormat of code 'table', and checks of groups.
import {
  add,
  cast,
  type Dense,
  embedding,
  type Kind,
  linear,
  mul,
  type OverrideEntry,
  override,
  reshape,
  scope,
  type Tensor,
  type WeightParts,
  type Wrapped,
} from '@ao/core';

/** Codes uint8 [N, K] with float32 scales [N, K / groupSize]. */
export interface TableCodes {
  readonly codes: Tensor;
  readonly scale: Tensor;
  /** float32, added last; absent for none. */
  readonly zero?: Tensor;
}

export interface TableWeight<T extends Wrapped> {
  /** null where only dequantized values serve. */
  codes(t: T): TableCodes | null;
  /** uint8 codes -> float32 values, by ops alone, so that a plan can hold them. */
  decode(codes: Tensor, t: T): Tensor;
  /** The product where activations are quantized too; null for exact ones. */
  linear?(x: Tensor, t: T, b: Tensor | undefined): Tensor | null;
}

/** The format of uint8 codes [N, K] whose values `table` says, scales [N, K / groupSize]. */
export function tableParts(table: Float32Array, { codes, scale, zero }: TableCodes): WeightParts {
  const [N, K] = codes.shape as [number, number];
  const groupSize = K / (scale.shape[1] as number);
  const zeroDomain = zero === undefined ? 'none' : 'float';
  return {
    format: { code: 'table', table, N, K, groupSize, zeroDomain, activation: 'exact' },
    codes: codes as Dense,
    scale: scale as Dense,
    ...(zero !== undefined && { zero: zero as Dense }),
  };
}

/** Rows of a table by int32 indices, from codes and scales alone. */
function rows<T extends Wrapped>(w: T, indices: Tensor, spec: TableWeight<T>): Tensor {
  const parts = spec.codes(w);
  if (parts === null) return embedding(w.rt.dequantize(w), indices);
  const { codes, scale, zero } = parts;
  const K = codes.shape[1] as number;
  const groups = scale.shape[1] as number;
  const perGroup = (t: Tensor): Tensor => reshape(embedding(t, indices), [...indices.shape, groups, 1]);
  const values = reshape(spec.decode(embedding(codes, indices), w), [...indices.shape, groups, K / groups]);
  const scaled = mul(values, perGroup(scale));
  return cast(reshape(zero === undefined ? scaled : add(scaled, perGroup(zero)), [...indices.shape, K]), w.dtype);
}

/** linear with the weight rounded to its dtype, as torchao composes it, and embedding; packed weights have kernels of their own. */
export function tableOverrides<T extends Wrapped>(kind: Kind, spec: TableWeight<T>): OverrideEntry[] {
  return [
    override(linear, 1, kind, (x, w, b) =>
      scope(() => {
        const t = w as unknown as T;
        return spec.linear?.(x, t, b) ?? linear(x, x.rt.dequantize(t), b);
      }),
    ),
    override(embedding, 0, kind, (w, indices) => scope(() => rows(w as unknown as T, indices, spec))),
  ];
}
