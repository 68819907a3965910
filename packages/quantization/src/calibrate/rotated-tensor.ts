// RotatedTensor: a weight that meets rotated inputs: y = (x R) weight^T, weight of any kind. The rotation runs at each call (R4 of
// SpinQuant), so it lives in memory only: files have no form for it.
import {
  AoError,
  cast,
  defineKind,
  type Entry,
  float32,
  type KindOf,
  kindEntry,
  linear,
  matmul,
  mul,
  override,
  reshape,
  scope,
  type Tensor,
  transpose,
  type WrappedOf,
} from '@ao/core';
import { type Rotation, rotated } from './rotation.ts';

type Part = 'weight' | 'signs' | 'hadamard';
export type RotatedTensor = WrappedOf<Part, 'mix', Record<string, never>>;

export const rotatedKind: KindOf<Part, 'mix', Record<string, never>> = /*@__PURE__*/ defineKind('rotated', {
  parts: ['weight', 'signs', 'hadamard'],
  optional: ['mix'],
  attrs: (value): Record<string, never> => {
    if (Object.keys(value as object).length === 0) return {};
    throw new AoError('ERR_AO_FORMAT', 'a rotated tensor has no attributes', { fix: 'give {}' });
  },
  /** weight R^T, so that it means the weight before rotation. */
  dequantize: (t: RotatedTensor) =>
    scope(() => {
      const { signs, hadamard, mix } = t;
      const [size, power] = [signs.shape[0] as number, hadamard.shape[0] as number];
      let w = cast(t.rt.dequantize(t.weight), float32);
      if (mix !== undefined) w = matmul(transpose(mix, 0, 1), reshape(w, [-1, size / power, power]));
      // the Hadamard matrix is its own transpose
      return cast(mul(reshape(matmul(reshape(w, [-1, power]), hadamard), t.shape), signs), t.dtype);
    }),
});

export function rotatedTensor(weight: Tensor, { signs, hadamard, mix }: Rotation): RotatedTensor {
  const parts = { weight, signs, hadamard, ...(mix !== undefined && { mix }) };
  return rotatedKind.make(parts, {}, weight.shape, weight.dtype);
}

export const rotatedEntries = (): readonly Entry[] => [
  kindEntry(rotatedKind),
  override(linear, 1, rotatedKind, (x, w, b) =>
    scope(() => {
      const t = w as RotatedTensor;
      return linear(cast(rotated(cast(x, float32), t as never), x.dtype), t.weight, b);
    }),
  ),
];
