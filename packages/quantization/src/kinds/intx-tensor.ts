// IntxUnpackedToInt8Tensor: codes of 1 to 8 bits, one per int8 [N, K], scales in a float dtype and integer zero points
// [N, K / g]; w = (q - zero_point) * scale. activation_quantization 'int8_asym_per_token' rounds x as torchao's 8da4w does.
import {
  chooseQparamsAffine,
  contiguous,
  type Dense,
  defineKind,
  dequantizeAffine,
  dtypeRange,
  type Entry,
  embedding,
  embeddingWeight,
  int8,
  type KindOf,
  kindEntry,
  linear,
  linearWeight,
  override,
  packInt4,
  quantizeAffine,
  scope,
  type Tensor,
  unpackInt4,
  type WeightParts,
  type WrappedOf,
  zeros,
} from '@ao/core';
import type { Activation, IntxDType } from '../config/names.ts';
import { formatError } from './attributes.ts';
import { copyOverrides, cut, rebuild, stackOverrides } from './blocks.ts';
import { packedForm, unpackedForm } from './intx-files.ts';
import { cropped, padded } from './short-blocks.ts';

export interface IntxAttrs {
  readonly targetDtype: IntxDType;
  readonly blockSize: readonly number[];
  readonly activationQuantization: 'int8_asym_per_token' | null;
  readonly activation: Activation;
  /** Known to have zero points of 0 only, so that kernels may leave them out. Not stored. */
  readonly symmetric: boolean;
}

export type IntxPart = 'qdata' | 'scale' | 'zero_point';
export type IntxUnpackedToInt8Tensor = WrappedOf<IntxPart, never, IntxAttrs>;

function weight(t: IntxUnpackedToInt8Tensor): WeightParts | null {
  const { blockSize, targetDtype, activationQuantization, symmetric, activation } = t.attrs;
  if (t.ndim !== 2 || blockSize[0] !== 1 || t.zero_point.dtype !== int8) return null;
  const [N, K] = t.shape as [number, number];
  const bits = Number(targetDtype.slice(3));
  const nibbles = bits === 4 && K % 2 === 0;
  const parts = {
    format: {
      code: nibbles ? 'int4' : 'int8',
      ...(!nibbles && { bits }),
      N,
      K,
      groupSize: blockSize[1] as number,
      zeroDomain: symmetric ? 'none' : 'int',
      activation: activationQuantization === null ? activation : 'int8-token-asym',
    },
    codes: (nibbles ? packInt4(t.qdata) : t.qdata) as Dense,
    scale: t.scale as Dense,
  } as const;
  return symmetric ? parts : { ...parts, zero: t.zero_point as Dense };
}

export const intxKind: KindOf<IntxPart, never, IntxAttrs> = /*@__PURE__*/ defineKind('intx', {
  parts: ['qdata', 'scale', 'zero_point'],
  attrs(value): IntxAttrs {
    const attrs = value as IntxAttrs;
    dtypeRange('intx', attrs.targetDtype);
    if (attrs.activationQuantization !== null && attrs.activationQuantization !== 'int8_asym_per_token') {
      throw formatError(
        'activation_quantization is int8_asym_per_token or null',
        attrs.activationQuantization,
        'quantize the model again',
      );
    }
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: IntxUnpackedToInt8Tensor) =>
    cropped(
      dequantizeAffine(padded(t.qdata, t.attrs.blockSize), t.attrs.blockSize, t.scale, t.zero_point, 'int8', {
        ...dtypeRange('intx', t.attrs.targetDtype),
        outputDtype: t.dtype,
      }),
      t.shape,
    ),
  weight,
  fromWeight: ({ format, codes, scale, zero }, t) => ({
    qdata: format.code === 'int4' ? unpackInt4(codes) : codes,
    scale: scale as Tensor,
    zero_point: zero ?? zeros(t.rt, (scale as Tensor).shape, { dtype: int8, device: codes.device }),
  }),
  packs: ['qdata', 'scale', 'zero_point'],
  file: packedForm,
  otherFiles: [unpackedForm],
});

/** x rounded to asymmetric int8 per row, in its own dtype: torchao's reference form of the 8da4w activation. */
export function int8AsymPerToken(x: Tensor): Tensor {
  const blockSize = x.shape.map((size, i) => (i === x.ndim - 1 ? size : 1));
  const [scale, zero] = chooseQparamsAffine(x, 'ASYMMETRIC', blockSize, 'int8', { zeroPointDtype: int8 });
  const q = quantizeAffine(x, blockSize, scale, zero, 'int8');
  return dequantizeAffine(q, blockSize, scale, zero, 'int8', { outputDtype: x.dtype });
}

/** Exact activations and 8da4w as torchao composes them, with the weight rounded to its dtype; else by the weight's format. */
function intxLinear(x: Tensor, w: IntxUnpackedToInt8Tensor, b: Tensor | undefined): Tensor {
  if (w.attrs.activationQuantization !== null) return linear(int8AsymPerToken(x), x.rt.dequantize(w), b);
  const parts = w.attrs.activation === 'exact' ? null : weight(w);
  if (parts === null) return linear(x, x.rt.dequantize(w), b);
  return linearWeight(x, parts.codes, parts.scale, parts.zero, b, parts.format);
}

function intxEmbedding(w: IntxUnpackedToInt8Tensor, indices: Tensor): Tensor {
  const parts = weight(w);
  if (parts === null) return embedding(w.rt.dequantize(w), indices);
  return embeddingWeight(parts.codes, parts.scale, parts.zero, indices, parts.format, w.dtype);
}

const makeEntries = (): readonly Entry[] => [
  kindEntry(intxKind),
  override(linear, 1, intxKind, (x, w, b) => scope(() => intxLinear(x, w as IntxUnpackedToInt8Tensor, b))),
  override(embedding, 0, intxKind, (w, indices) => scope(() => intxEmbedding(w as IntxUnpackedToInt8Tensor, indices))),
  ...stackOverrides(intxKind, ['qdata', 'scale', 'zero_point']),
  ...copyOverrides(intxKind, (t, spanFor) => {
    const w = t as IntxUnpackedToInt8Tensor;
    const { blockSize } = w.attrs;
    const span = spanFor((dim) => blockSize[dim] as number);
    const part = (p: Tensor): Tensor => contiguous(cut(p, span.dim, span, blockSize[span.dim] as number));
    const parts = { qdata: cut(w.qdata, span.dim, span, 1), scale: part(w.scale), zero_point: part(w.zero_point) };
    const { shape } = parts.qdata;
    return rebuild(
      w,
      parts,
      { ...w.attrs, blockSize: blockSize.map((size, i) => Math.min(size, shape[i] as number)) },
      shape,
    );
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** IntxUnpackedToInt8Tensor for an extension: always the same entries, so that several schemes may give them. */
export const intxKindEntries = (): readonly Entry[] => entries;
