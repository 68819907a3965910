// Optimizer state as tensors of codes with a scale a block of the flattened values (torchao.optim's OptimState8bit,
// OptimState4bit and OptimStateFp8, whose attributes and part names the files have):
//   8 bits: codes uint8 of the parameter's shape, qmap float32 [256];   4 bits: codes uint8 [n / 2], qmap float32 [16]
//   fp8: codes float8_e4m3fn of the parameter's shape;   all: scale float32 [n / blockSize]
import {
  AoError,
  cast,
  cat,
  type Dense,
  type DType,
  defineKind,
  dtypeByName,
  embedding,
  type FileForm,
  float32,
  floor,
  int32,
  type KindOf,
  mul,
  numel,
  reshape,
  sub,
  type Tensor,
  type WrappedOf,
} from '@ao/core';

export interface OptimStateAttrs {
  readonly blockSize: number;
  /** A first moment; second moments are never negative. fp8 has one form for both, there it is true. */
  readonly signed: boolean;
}

export type OptimState8bit = WrappedOf<'codes' | 'scale' | 'qmap', never, OptimStateAttrs>;
export type OptimState4bit = OptimState8bit;
export type OptimStateFp8 = WrappedOf<'codes' | 'scale', never, OptimStateAttrs>;

function attrsOf(value: unknown): OptimStateAttrs {
  const { blockSize, signed } = value as OptimStateAttrs;
  if (Number.isInteger(blockSize) && blockSize > 0 && typeof signed === 'boolean')
    return Object.freeze({ blockSize, signed });
  throw new AoError('ERR_AO_FORMAT', `optimizer state has attributes ${JSON.stringify(value)}`, {
    fix: 'give blockSize, a whole number above 0, and signed',
  });
}

/** Values of the blocks: rows of floats times their scales, in t's shape and dtype. */
function scaled(values: Tensor, scale: Tensor, t: Tensor): Tensor {
  const rows = mul(reshape(values, [scale.numel, -1]), reshape(scale, [-1, 1]));
  return cast(reshape(rows, t.shape), t.dtype);
}

function looked(codes: Tensor, { qmap, scale }: OptimState8bit, t: Tensor): Tensor {
  return scaled(embedding(reshape(qmap, [-1, 1]), cast(codes, int32)), scale, t);
}

/** Codes of two halves a byte, the high one first. */
function halves(codes: Tensor): Tensor {
  const bytes = cast(reshape(codes, [-1, 1]), float32);
  const high = floor(mul(bytes, 1 / 16));
  return reshape(cat([high, sub(bytes, mul(high, 16))], 1), [-1]);
}

const dtypeText = (d: DType): string => `torch.${d.name}`;
const dtypeOf = (text: unknown): DType => dtypeByName(String(text).replace(/^torch\./, ''));

function blockOf(n: number, stored: Readonly<Record<string, Tensor>>): number {
  const { scale } = stored;
  if (scale !== undefined && scale.numel > 0) return n / scale.numel;
  throw new AoError('ERR_AO_FORMAT', 'optimizer state has no scales', {
    fix: 'save it again: it needs codes and scale',
  });
}

/** torchao's __tensor_flatten__: signed and dtype, of 4 bits also the shape. */
const file = (type: string, kind: 'signed' | 'shape' | 'plain'): FileForm<OptimState8bit> => ({
  type,
  names: (t) => t.kind.partNames,
  encode: (t) => ({
    ...(kind === 'plain' ? {} : { signed: t.attrs.signed }),
    ...(kind === 'shape' ? { shape: t.shape } : {}),
    dtype: dtypeText(t.dtype),
  }),
  decode(json, stored) {
    const shape = kind === 'shape' ? (json.shape as number[]) : (stored.codes?.shape ?? []);
    const signed = kind === 'plain' || json.signed === true;
    return { attrs: { blockSize: blockOf(numel(shape), stored), signed }, shape, dtype: dtypeOf(json.dtype) };
  },
});

type QmapKind = KindOf<'codes' | 'scale' | 'qmap', never, OptimStateAttrs>;

export const optimState8bitKind: QmapKind = /*@__PURE__*/ defineKind('optim_state_8bit', {
  parts: ['codes', 'scale', 'qmap'],
  attrs: attrsOf,
  dequantize: (t: OptimState8bit): Tensor => looked(reshape(t.codes, [-1]), t, t),
  file: /*@__PURE__*/ file('OptimState8bit', 'signed'),
});

export const optimState4bitKind: QmapKind = /*@__PURE__*/ defineKind('optim_state_4bit', {
  parts: ['codes', 'scale', 'qmap'],
  attrs: attrsOf,
  dequantize: (t: OptimState4bit): Tensor => looked(halves(t.codes), t, t),
  file: /*@__PURE__*/ file('OptimState4bit', 'shape'),
});

export const optimStateFp8Kind: KindOf<'codes' | 'scale', never, OptimStateAttrs> = /*@__PURE__*/ defineKind(
  'optim_state_fp8',
  {
    parts: ['codes', 'scale'],
    attrs: attrsOf,
    dequantize: (t: OptimStateFp8): Tensor => scaled(cast(t.codes, float32), t.scale, t),
    file: /*@__PURE__*/ file('OptimStateFp8', 'plain') as unknown as FileForm<OptimStateFp8>,
  },
);

export type StateTensor = Dense | OptimState8bit | OptimStateFp8;
