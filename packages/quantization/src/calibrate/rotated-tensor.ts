// RotatedTensor: a weight that meets rotated inputs: y = (x R) weight^T, weight of any kind. The rotation runs at each call (R4 of
// SpinQuant). Files hold its seed and the weight; the rotation is made again from these.
import {
  AoError,
  cast,
  defineKind,
  type Entry,
  type FileForm,
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
import { alias } from '../kinds/blocks.ts';
import { type Rotation, rotated, sharedRotation } from './rotation.ts';

export interface RotatedAttrs {
  readonly seed: number;
}

type Part = 'weight' | 'signs' | 'hadamard';
export type RotatedTensor = WrappedOf<Part, 'mix', RotatedAttrs>;

const factors = ({ signs, hadamard, mix }: Rotation): Record<'signs' | 'hadamard', Tensor> & { mix?: Tensor } => ({
  signs: alias(signs),
  hadamard: alias(hadamard),
  ...(mix !== undefined && { mix: alias(mix) }),
});

const file: FileForm<RotatedTensor> = {
  type: 'RotatedTensor',
  names: () => ['weight'],
  encode: ({ attrs }) => ({ seed: attrs.seed }),
  decode: (json, stored) => {
    const weight = stored.weight as Tensor;
    const { shape, dtype, rt, device } = weight;
    const seed = json.seed as number;
    const parts = { weight, ...factors(sharedRotation(rt, shape[1] as number, seed, device)) };
    return { attrs: { seed } satisfies RotatedAttrs, shape, dtype, parts };
  },
};

export const rotatedKind: KindOf<Part, 'mix', RotatedAttrs> = /*@__PURE__*/ defineKind('rotated', {
  parts: ['weight', 'signs', 'hadamard'],
  optional: ['mix'],
  attrs: (value): RotatedAttrs => {
    const { seed } = value as RotatedAttrs;
    if (Number.isInteger(seed)) return Object.freeze({ seed });
    throw new AoError('ERR_AO_FORMAT', `the seed of a rotated tensor is ${seed}`, { fix: 'save the model again' });
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
  file,
});

export function rotatedTensor(weight: Tensor, turn: Rotation): RotatedTensor {
  return rotatedKind.make({ weight, ...factors(turn) }, { seed: turn.seed }, weight.shape, weight.dtype);
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
