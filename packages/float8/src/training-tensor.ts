// TrainingTensor: a float weight that linears multiply in low precision, in all three products of training. It stands in the place of
// the weight, so that fused ops train with it too; what is trained is its part 'weight', which everything else reads.
import {
  AoError,
  type Dense,
  defineKind,
  type Entry,
  embedding,
  type KindOf,
  kindEntry,
  linear,
  linears,
  override,
  type WrappedOf,
} from '@ao/core';
import { detach } from '@ao/core/autograd';
import { type TrainingScheme, trainingLinear, trainingLinears } from './training-linear.ts';

type Optional = 'scale' | 'counts' | 'generator' | 'rotation';

export interface TrainingAttrs {
  /** Of the config: float8, mxfp8, ... */
  readonly config: { readonly type: string };
  /** Name of the module that holds the weight first. */
  readonly fqn: string;
  scheme(t: TrainingTensor): TrainingScheme;
  /** Linears of one config cast an x that they all read once. */
  readonly sharesInput?: boolean;
  /** Version of the weight that the part 'scale' belongs to. */
  readonly state: { version: number };
}

/** Parts: the trained weight; a scale found ahead, float32 [1, 1]; counts of values, int32 [3, 2]; a generator, int32 [2]; a matrix that turns blocks. */
export type TrainingTensor = WrappedOf<'weight', Optional, TrainingAttrs>;

export const trainingKind: KindOf<'weight', Optional, TrainingAttrs> = /*@__PURE__*/ defineKind(
  'low_precision_training',
  {
    parts: ['weight'],
    optional: ['scale', 'counts', 'generator', 'rotation'],
    attrs: (value): TrainingAttrs => value as TrainingAttrs,
    dequantize: (t: TrainingTensor) => t.weight,
    trains: ['weight'],
  },
);

export interface TrainingParts {
  readonly scale?: Dense;
  readonly counts?: Dense;
  readonly generator?: Dense;
  readonly rotation?: Dense;
}

/** Shares memory with `weight`, which may be disposed. Throws ERR_AO_DTYPE for what is no float matrix. */
export function trainingTensor(
  weight: Dense,
  attrs: Pick<TrainingAttrs, 'config' | 'fqn' | 'scheme' | 'sharesInput'>,
  parts: TrainingParts = {},
): TrainingTensor {
  if (weight.kind !== null || weight.packed !== null || weight.dtype.category !== 'float' || weight.dtype.bits < 16) {
    throw new AoError('ERR_AO_DTYPE', 'the weight is no plain float tensor', {
      module: attrs.fqn,
      fix: 'convert before quantizing or packing (load with trainable: true)',
    });
  }
  const state = { version: weight.storage.version };
  return trainingKind.make({ weight: detach(weight), ...parts }, { ...attrs, state }, weight.shape, weight.dtype);
}

export const trainingTensorEntries = (): readonly Entry[] => [
  kindEntry(trainingKind),
  override(linear, 1, trainingKind, (x, w, b) => {
    const t = w as TrainingTensor;
    return trainingLinear(x, t.weight, b, t.attrs.scheme(t));
  }),
  override(linears, 1, trainingKind, (x, ws, bs = []) => {
    const [first] = ws as readonly TrainingTensor[];
    const alike = ws.every(
      (w) => w.kind === trainingKind && (w as TrainingTensor).attrs.config === first!.attrs.config,
    );
    if (!alike) return ws.map((w, i) => linear(x, w, bs[i]));
    const ts = ws as readonly TrainingTensor[];
    const shared = first!.attrs.sharesInput === true && ts.every((t) => t.counts === undefined);
    return trainingLinears(
      x,
      ts.map((t) => t.weight),
      ts.map((_, i) => bs[i]),
      ts.map((t) => t.attrs.scheme(t)),
      shared,
    );
  }),
  override(embedding, 0, trainingKind, (w, indices) => embedding((w as TrainingTensor).weight, indices)),
];
