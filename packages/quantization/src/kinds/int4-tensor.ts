// Int4Tensor: int4 codes two to a byte [N, K / 2] (low nibble = even column), scale and zero_point [K / g, N] in the weight's
// dtype; w = q * scale + zero_point with q in -8..7, in float32 and rounded once. Of stacks [E, N, K] all have E in front.
import {
  cast,
  contiguous,
  type Dense,
  defineKind,
  dequantizeAffineTinygemm,
  type Entry,
  embedding,
  embeddingWeight,
  float32,
  type KindOf,
  kindEntry,
  linear,
  linearWeight,
  mul,
  override,
  scope,
  type Tensor,
  transpose,
  unpackInt4,
  type WeightParts,
  type WrappedOf,
} from '@ao/core';
import type { Float8Dtype } from '../config/float-fields.ts';
import type { Activation } from '../config/names.ts';
import { formatError } from './attributes.ts';
import { alias, copyOverrides, cut, mapParts, rebuild, stackOverrides } from './blocks.ts';
import { float8Rows, roundToFloat8 } from './float8-activation.ts';
import { plainForm, tiledForm } from './int4-files.ts';
import { cropped, padded } from './short-blocks.ts';

export interface Int4Attrs {
  readonly blockSize: readonly number[];
  /** torchao's: bfloat16, or float8_e4m3fn for kernels that quantize the activation to float8. */
  readonly activationDtype: string;
  readonly activation: Activation;
  /** Files have it in tinygemm's tiles. */
  readonly tilePacked?: boolean;
}

export type Int4Part = 'qdata' | 'scale' | 'zero_point';
export type Int4Tensor = WrappedOf<Int4Part, 'act_pre_scale', Int4Attrs>;

const flip = (t: Tensor): Dense => contiguous(transpose(t, -2, -1)) as Dense;

function weight(t: Int4Tensor): WeightParts | null {
  if (t.ndim !== 2 || t.attrs.activationDtype !== 'bfloat16') return null;
  const [N, K] = t.shape as [number, number];
  const groupSize = t.attrs.blockSize[1] as number;
  const format = { code: 'int4', N, K, groupSize, zeroDomain: 'float', activation: t.attrs.activation } as const;
  return {
    format,
    codes: t.qdata as Dense,
    scale: flip(t.scale),
    zero: flip(t.zero_point),
    ...(t.act_pre_scale && { inputScale: t.act_pre_scale as Dense }),
  };
}

export const int4Kind: KindOf<Int4Part, 'act_pre_scale', Int4Attrs> = /*@__PURE__*/ defineKind('int4', {
  parts: ['qdata', 'scale', 'zero_point'],
  optional: ['act_pre_scale'],
  attrs(value): Int4Attrs {
    const attrs = value as Int4Attrs;
    if (!Array.isArray(attrs.blockSize))
      throw formatError('an int4 tensor needs a blockSize', attrs, 'give e.g. [1, 32]');
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: Int4Tensor) =>
    scope(() => {
      const [scale, zero] = [cast(flip(t.scale), float32), cast(flip(t.zero_point), float32)];
      const codes = padded(unpackInt4(t.qdata), t.attrs.blockSize);
      const values = dequantizeAffineTinygemm(codes, t.attrs.blockSize, scale, zero, 'int4');
      return cast(cropped(values, t.shape), t.dtype);
    }),
  weight,
  fromWeight: ({ codes, scale, zero }) => ({
    qdata: codes,
    scale: flip(scale as Tensor),
    zero_point: flip(zero as Tensor),
  }),
  packs: ['qdata', 'scale', 'zero_point'],
  file: plainForm,
  otherFiles: [tiledForm],
});

/** x as the weight wants it: its own values, or those it has in float8 by rows. */
function activationOf(x: Tensor, w: Int4Tensor): Tensor {
  const { activationDtype } = w.attrs;
  return activationDtype === 'bfloat16' ? x : roundToFloat8(x, float8Rows(activationDtype as Float8Dtype), x.dtype);
}

function int4Linear(input: Tensor, w: Int4Tensor, b: Tensor | undefined): Tensor {
  const x = w.act_pre_scale === undefined ? input : cast(mul(input, w.act_pre_scale), input.dtype);
  const parts = weight(w);
  if (parts === null) return linear(activationOf(x, w), x.rt.dequantize(w), b);
  return linearWeight(x, parts.codes, parts.scale, parts.zero, b, parts.format);
}

function int4Embedding(w: Int4Tensor, indices: Tensor): Tensor {
  const parts = weight(w);
  if (parts === null) return embedding(w.rt.dequantize(w), indices);
  return embeddingWeight(parts.codes, parts.scale, parts.zero, indices, parts.format, w.dtype);
}

const makeEntries = (): readonly Entry[] => [
  kindEntry(int4Kind),
  override(linear, 1, int4Kind, (x, w, b) => scope(() => int4Linear(x, w as Int4Tensor, b))),
  override(embedding, 0, int4Kind, (w, indices) => scope(() => int4Embedding(w as Int4Tensor, indices))),
  ...stackOverrides(int4Kind, ['qdata'], ['scale', 'zero_point']),
  ...copyOverrides(int4Kind, (t, spanFor) => {
    const w = t as Int4Tensor;
    const last = w.ndim - 1;
    const group = w.attrs.blockSize[last] as number;
    const span = spanFor((dim) => (dim === last ? group : 1));
    const columns = span.dim === last;
    const dim = span.dim < last - 1 ? span.dim : 2 * last - 1 - span.dim;
    const part = (p: Tensor): Tensor => cut(p, dim, span, columns ? group : 1);
    const parts = {
      ...mapParts(w, alias),
      qdata: cut(w.qdata, span.dim, span, columns ? 2 : 1),
      scale: part(w.scale),
      zero_point: part(w.zero_point),
    };
    return rebuild(
      w,
      parts,
      w.attrs,
      w.shape.map((size, i) => (i === span.dim ? span.end - span.start : size)),
    );
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** Int4Tensor for an extension: always the same entries, so that several schemes may give them. */
export const int4KindEntries = (): readonly Entry[] => entries;
