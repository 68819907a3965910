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
import { spread } from './short-blocks.ts';

/** Codes uint8 [N, K] with float32 scales [N, ceil(K / groupSize)]. */
export interface TableCodes {
  readonly codes: Tensor;
  readonly scale: Tensor;
  readonly groupSize: number;
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

/** The format of uint8 codes [N, K] whose values `table` says. */
export function tableParts(table: Float32Array, { codes, scale, groupSize, zero }: TableCodes): WeightParts {
  const [N, K] = codes.shape as [number, number];
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
  const { codes, scale, groupSize, zero } = parts;
  const shape = [indices.numel, codes.shape[1] as number];
  const flat = reshape(indices, [-1]);
  const each = (t: Tensor): Tensor => spread(embedding(t, flat), [1, groupSize], shape);
  const scaled = mul(spec.decode(embedding(codes, flat), w), each(scale));
  const values = zero === undefined ? scaled : add(scaled, each(zero));
  return reshape(cast(values, w.dtype), [...indices.shape, shape[1] as number]);
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
