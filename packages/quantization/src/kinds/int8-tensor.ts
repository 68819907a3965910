// Int8Tensor: int8 codes [N, K] with float32 scales [N, 1], [1, 1] or [N, K / g]; w = (q - zero_point) * scale. The zero
// points are those torchao stores: zeros, since its int8 weights are symmetric. The activation scheme is data on the weight.
import {
  contiguous,
  type Dense,
  defineKind,
  dequantizeAffine,
  dequantizeAffineNoZeroPoint,
  expand,
  type FileForm,
  type KindOf,
  slice,
  type Tensor,
  type WeightFormat,
  type WeightParts,
  type WrappedOf,
} from '@ao/core';
import type { Activation } from '../config/names.ts';
import {
  decodeActivation,
  decodeDtype,
  decodeInts,
  decodeKwargs,
  encodeDtype,
  encodeInt8Kwargs,
  formatError,
  type QuantizeTensorToInt8Kwargs,
  withActivation,
} from './attributes.ts';
import { cropped, padded } from './short-blocks.ts';

export interface Int8Attrs {
  readonly blockSize: readonly number[];
  readonly actQuantKwargs: QuantizeTensorToInt8Kwargs | null;
  readonly reduceRange: boolean;
  /** Of weight-only tensors: how activations meet the codes. */
  readonly activation: Activation;
}

type Part = 'qdata' | 'scale';
type Optional = 'zero_point' | 'act_quant_scale' | 'act_quant_zero_point' | 'act_pre_scale';
export type Int8Tensor = WrappedOf<Part, Optional, Int8Attrs>;

const OPTIONAL: readonly Optional[] = ['zero_point', 'act_quant_scale', 'act_quant_zero_point', 'act_pre_scale'];

type ActivationForm = Pick<WeightFormat, 'activation' | 'tokens'>;

/** null where no packed form has this activation scheme. */
function activationOf(t: Int8Tensor): ActivationForm | null {
  const { actQuantKwargs: kwargs, activation } = t.attrs;
  if (kwargs === null) return { activation };
  const oneScale = kwargs.granularity.type === 'PerTensor';
  const known = t.act_quant_scale;
  if (known !== undefined && known.numel !== (oneScale ? 1 : (t.act_quant_zero_point ?? known).numel)) return null;
  const rowScales = known !== undefined && !oneScale;
  const { reduceRange, weightOnlyDecode = false } = kwargs;
  const plain = !oneScale && !rowScales && !reduceRange && !weightOnlyDecode;
  return {
    activation: kwargs.mappingType === 'SYMMETRIC' ? 'int8-token' : 'int8-token-asym',
    ...(!plain && {
      tokens: { oneScale, reducedRange: reduceRange, exactRow: weightOnlyDecode, ...(rowScales && { rowScales }) },
    }),
  };
}

/** null where only dequantized values can serve. */
export function int8Weight(t: Int8Tensor): WeightParts | null {
  const [N, K] = t.shape as [number, number];
  const [rows = 1, groupSize = K] = t.attrs.blockSize;
  const activation = activationOf(t);
  const perTensor = rows === N && groupSize === K;
  if (t.ndim !== 2 || activation === null || (rows !== 1 && !perTensor)) return null;
  const scale = perTensor && N > 1 ? contiguous(expand(t.scale, [N, 1])) : t.scale;
  return {
    format: { code: 'int8', N, K, groupSize, zeroDomain: 'none', ...activation },
    codes: t.qdata as Dense,
    scale: scale as Dense,
    ...(t.act_quant_scale && { actScale: t.act_quant_scale as Dense }),
    ...(t.act_quant_zero_point && { actZero: t.act_quant_zero_point as Dense }),
    ...(t.act_pre_scale && { inputScale: t.act_pre_scale as Dense }),
  };
}

const file: FileForm<Int8Tensor> = {
  type: 'Int8Tensor',
  names: (t) => [...OPTIONAL.filter((name) => t[name] !== undefined), 'qdata', 'scale'],
  encode: (t) => {
    const { actQuantKwargs, reduceRange, blockSize, activation } = t.attrs;
    const data = {
      act_quant_kwargs: encodeInt8Kwargs(actQuantKwargs),
      reduce_range: reduceRange,
      block_size: blockSize,
      dtype: encodeDtype(t.dtype.name),
    };
    if (actQuantKwargs?.weightOnlyDecode === true) return { ...data, ao: { weight_only_decode: true } };
    return withActivation(data, activation);
  },
  decode: (json, parts) => ({
    attrs: {
      blockSize: decodeInts(json.block_size, 'block_size'),
      actQuantKwargs: decodeKwargs(json),
      reduceRange: json.reduce_range === true,
      activation: decodeActivation(json),
    } satisfies Int8Attrs,
    shape: (parts.qdata as Tensor).shape,
    dtype: decodeDtype(json.dtype),
  }),
};

export const int8Kind: KindOf<Part, Optional, Int8Attrs> = /*@__PURE__*/ defineKind('int8', {
  parts: ['qdata', 'scale'],
  optional: ['zero_point', 'act_quant_scale', 'act_quant_zero_point', 'act_pre_scale'],
  attrs(value): Int8Attrs {
    const attrs = value as Int8Attrs;
    if (!Array.isArray(attrs.blockSize))
      throw formatError('an int8 tensor needs a blockSize', attrs, 'give e.g. [1, K]');
    return Object.freeze({ ...attrs });
  },
  dequantize: (t: Int8Tensor) => {
    const options = { outputDtype: t.dtype };
    const { scale, zero_point: zero } = t;
    const { blockSize } = t.attrs;
    const qdata = padded(t.qdata, blockSize);
    const values =
      zero === undefined
        ? dequantizeAffineNoZeroPoint(qdata, blockSize, scale, null, 'int8', options)
        : dequantizeAffine(qdata, blockSize, scale, zero, 'int8', options);
    return cropped(values, t.shape);
  },
  weight: int8Weight,
  fromWeight: ({ codes, scale }, t) => {
    const perTensor = t.attrs.blockSize[0] === t.shape[0] && (t.shape[0] as number) > 1;
    return { qdata: codes, scale: perTensor ? contiguous(slice(scale as Tensor, 0, 0, 1)) : (scale as Tensor) };
  },
  packs: ['qdata', 'scale'],
  file,
});
