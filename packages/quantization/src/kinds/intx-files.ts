// An intx tensor in files. Ours is IntxTensor: qdata uint8 [N, ceil(K b / 8)], codes of b bits side by side (pack_bits), and
// zero points only where there are any; codes of 8 bits, and torchao's own files, are IntxUnpackedToInt8Tensor: a code a byte.
import { type FileForm, int8, packBits, scope, type Tensor, unpackBits, zeros } from '@ao/core';
import type { IntxDType } from '../config/names.ts';
import {
  decodeActivation,
  decodeDtype,
  decodeDtypeName,
  decodeInts,
  encodeDtype,
  type JsonFields,
  withActivation,
} from './attributes.ts';
import type { IntxAttrs, IntxUnpackedToInt8Tensor } from './intx-tensor.ts';

const bitsOf = (dtype: IntxDType): number => Number(dtype.slice(3));

const common = ({ attrs, dtype }: IntxUnpackedToInt8Tensor): JsonFields => ({
  target_dtype: encodeDtype(attrs.targetDtype),
  block_size: attrs.blockSize,
  dtype: encodeDtype(dtype.name),
  activation_quantization: attrs.activationQuantization,
});

const attrsOf = (json: JsonFields, symmetric: boolean): IntxAttrs => ({
  targetDtype: decodeDtypeName(json.target_dtype) as IntxDType,
  blockSize: decodeInts(json.block_size, 'block_size'),
  activationQuantization: (json.activation_quantization ?? null) as IntxAttrs['activationQuantization'],
  activation: decodeActivation(json),
  symmetric,
});

/** torchao's. */
export const unpackedForm: FileForm<IntxUnpackedToInt8Tensor> = {
  type: 'IntxUnpackedToInt8Tensor',
  names: () => ['qdata', 'scale', 'zero_point'],
  encode: (t) => withActivation(common(t), t.attrs.activation),
  decode: (json, parts) => ({
    attrs: attrsOf(json, false),
    shape: (parts.qdata as Tensor).shape,
    dtype: decodeDtype(json.dtype),
  }),
};

export const packedForm: FileForm<IntxUnpackedToInt8Tensor> = {
  type: 'IntxTensor',
  takes: ({ attrs }) => bitsOf(attrs.targetDtype) < 8,
  names: ({ attrs }) => (attrs.symmetric ? ['qdata', 'scale'] : ['qdata', 'scale', 'zero_point']),
  encode: (t) => withActivation({ ...common(t), shape: t.shape }, t.attrs.activation),
  store: (t) =>
    scope(() => {
      const { qdata, scale, zero_point } = t.parts as Readonly<Record<string, Tensor>>;
      const packed = { qdata: packBits(qdata as Tensor, bitsOf(t.attrs.targetDtype)), scale: scale as Tensor };
      return t.attrs.symmetric ? packed : { ...packed, zero_point: zero_point as Tensor };
    }),
  decode: (json, { qdata, scale, zero_point }) => {
    const attrs = attrsOf(json, zero_point === undefined);
    const shape = decodeInts(json.shape, 'shape');
    const codes = unpackBits(qdata as Tensor, bitsOf(attrs.targetDtype), shape[shape.length - 1] as number, true);
    const { rt, shape: grid, device } = scale as Tensor;
    const parts = {
      qdata: codes,
      scale: scale as Tensor,
      zero_point: zero_point ?? zeros(rt, grid, { dtype: int8, device }),
    };
    return { attrs, shape, dtype: decodeDtype(json.dtype), parts };
  },
};
