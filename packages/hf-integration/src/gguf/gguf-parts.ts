// ggufParts(name, type, shape, dtype): the entries of a safetensors file that a weight of a quantized type of GGUF would be,
// with the metadata of torchao's class, or ours where it has none: codes stay codes, scales stay scales, nothing is dequantized.
//   offset, up to 4 bits   Int4Tensor                  Q4_1, Q4_K, Q2_K     w = q scale + zero_point, both float32 [K/g, N]
//   8 bits                 Int8Tensor                  Q8_0, IQ4_NL         w = q scale, [N, K/g]
//   up to 6 bits           IntxUnpackedToInt8Tensor    Q4_0, Q5_0, Q3_K, Q6_K   w = q scale, zero points of 0
//   offset and 5 bits      CodedTensor (ours)          Q5_1, Q5_K           w = q scale + zero_point, [N, K/g]
// A quantized vector is float32 values.
import { fileNamesOf, pythonJson } from '@ao/quantization';
import type { BlockForm } from './decode-blocks.ts';

export type PartRole = 'codes' | 'nibbles' | 'scale' | 'offset' | 'zero' | 'values';

export interface GgufPart {
  readonly key: string;
  readonly role: PartRole;
  /** As in safetensors. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** [K/g, N] instead of [N, K/g]. */
  readonly turned: boolean;
}

export interface GgufParts {
  readonly metadata: string;
  readonly parts: readonly GgufPart[];
}

const dtypeJson = (name: string) => ({ _type: 'torch.dtype', _data: name });

/** `dtype`: the model's. */
export function ggufParts(name: string, form: BlockForm, shape: readonly number[], dtype: string): GgufParts {
  const [n = 1, k = 1] = shape.length === 1 ? [1, shape[0]] : shape;
  const groups = k / form.group;
  const block = [1, form.group];
  const make = (
    type: string,
    data: Parameters<typeof pythonJson>[0],
    parts: readonly Omit<GgufPart, 'key'>[],
    names: string[],
  ): GgufParts => {
    const metadata = pythonJson({ _type: type, _data: data, _tensor_data_names: names });
    const keys = fileNamesOf(name, { [name]: metadata });
    return { metadata, parts: parts.map((part, i) => ({ key: keys[i]!, ...part })) };
  };
  const part = (role: PartRole, type: string, size: readonly number[], turned = false) => ({
    role,
    dtype: type,
    shape: size,
    turned,
  });
  const scaleType = form.half ? 'F16' : 'F32';
  if (shape.length !== 2) {
    return { metadata: PLAIN_METADATA, parts: [{ key: name, ...part('values', 'F32', shape) }] };
  }
  if (form.offset && form.bits > 4) {
    return make(
      'CodedTensor',
      { bits: form.bits, group_size: form.group, table: null, shape: [n, k], dtype: dtypeJson(dtype) },
      [part('codes', 'I8', [n, k]), part('scale', scaleType, [n, groups]), part('offset', 'F32', [n, groups])],
      ['qdata', 'scale', 'zero_point'],
    );
  }
  if (form.offset) {
    return make(
      'Int4Tensor',
      { activation_dtype: dtypeJson('bfloat16'), block_size: block, shape: [n, k] },
      [
        part('nibbles', 'I8', [n, k / 2]),
        part('scale', 'F32', [groups, n], true),
        part('offset', 'F32', [groups, n], true),
      ],
      ['qdata', 'scale', 'zero_point'],
    );
  }
  if (form.bits === 8) {
    return make(
      'Int8Tensor',
      { act_quant_kwargs: null, reduce_range: false, block_size: block, dtype: dtypeJson(dtype) },
      [part('codes', 'I8', [n, k]), part('scale', scaleType, [n, groups])],
      ['qdata', 'scale'],
    );
  }
  return make(
    'IntxUnpackedToInt8Tensor',
    {
      target_dtype: dtypeJson(`int${form.bits}`),
      block_size: block,
      dtype: dtypeJson(dtype),
      activation_quantization: null,
    },
    [part('codes', 'I8', [n, k]), part('scale', scaleType, [n, groups]), part('zero', 'I8', [n, groups])],
    ['qdata', 'scale', 'zero_point'],
  );
}

export const PLAIN_METADATA = '{"_type": "Tensor"}';
