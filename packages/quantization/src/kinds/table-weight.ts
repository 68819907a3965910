// What kinds share whose codes are looked up: linear and embedding by a WeightFormat of code 'table', and checks of groups.
import {
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

export interface TableWeight<T extends Wrapped> {
  /** Codes uint8 [N, K] with float32 scales; null where only dequantized values serve. */
  weight(t: T): WeightParts | null;
  /** uint8 codes -> float32 values, by ops alone, so that a plan can hold them. */
  decode(codes: Tensor, t: T): Tensor;
  /** The product where activations are quantized too; null for exact ones. */
  linear?(x: Tensor, t: T, b: Tensor | undefined): Tensor | null;
}

/** The format of uint8 codes [N, K] whose values `table` says, scales [N, K / groupSize]. */
export function tableParts(table: Float32Array, codes: Tensor, scale: Tensor): WeightParts {
  const [N, K] = codes.shape as [number, number];
  const groupSize = K / (scale.shape[1] as number);
  return {
    format: { code: 'table', table, N, K, groupSize, zeroDomain: 'none', activation: 'exact' },
    codes: codes as Dense,
    scale: scale as Dense,
  };
}

/** Rows of a table by int32 indices, from codes and scales alone. */
function rows<T extends Wrapped>(w: T, indices: Tensor, spec: TableWeight<T>): Tensor {
  const parts = spec.weight(w);
  if (parts === null) return embedding(w.rt.dequantize(w), indices);
  const { codes, scale, format } = parts;
  const groups = format.K / format.groupSize;
  const values = spec.decode(embedding(codes, indices), w);
  const perGroup = reshape(embedding(scale as Dense, indices), [...indices.shape, groups, 1]);
  const w32 = mul(reshape(values, [...indices.shape, groups, format.groupSize]), perGroup);
  return cast(reshape(w32, [...indices.shape, format.K]), w.dtype);
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
