// Tensors of kinds as foreign formats give them: torchao's metadata and the parts, in the metadata's order.
import type { ForeignTensor, Part } from './format.ts';
import { codes, dtypeName, floats, ints, packedCodes, paired } from './parts.ts';

type Form = Pick<ForeignTensor, 'entry' | 'parts'>;

const torchDtype = (name: string) => ({ _type: 'torch.dtype', _data: name });

interface Integers {
  readonly bits: number;
  readonly groupSize: number;
  /** Of the values, as safetensors names it. */
  readonly dtype: string;
  /** Signed codes int8 [N, K], scale [N, K / g], zero points int8 [N, K / g]. */
  readonly qdata: Part;
  readonly scale: Part;
  readonly zero: Part;
}

/** w = (q - z) * s: torchao's IntxUnpackedToInt8Tensor, in files of ours with `bits` bits a code. */
export function intx({ bits, groupSize, dtype, qdata, scale, zero }: Integers): Form {
  const entry = {
    _type: bits < 8 ? 'IntxTensor' : 'IntxUnpackedToInt8Tensor',
    _data: {
      target_dtype: torchDtype(`int${bits}`),
      block_size: [1, groupSize],
      dtype: torchDtype(dtypeName(dtype)),
      activation_quantization: null,
      ...(bits < 8 ? { shape: qdata.shape } : {}),
    },
    _tensor_data_names: ['qdata', 'scale', 'zero_point'],
  };
  return { entry, parts: [bits < 8 ? packedCodes(qdata, bits) : qdata, scale, zero] };
}

/** The same behind a permutation of the columns: w[n, perm[j]] = inner[n, j]. */
export function permuted(inner: Form, perm: Int32Array): Form {
  const inverse = new Int32Array(perm.length);
  for (const [j, k] of perm.entries()) inverse[k] = j;
  const entry = {
    _type: 'PermutedTensor',
    _data: { weight: inner.entry },
    _tensor_data_names: ['weight', 'perm', 'inverse'],
  };
  const shape = [perm.length];
  return { entry, parts: [...inner.parts, ints(shape, () => perm), ints(shape, () => inverse)] };
}

interface Rows {
  /** int8 [N, K]. */
  readonly qdata: Part;
  /** float32 [N, 1]. */
  readonly scale: Part;
  /** torch's name. */
  readonly dtype: string;
  /** Symmetric int8 activations per row, as they come. */
  readonly dynamic: boolean;
}

/** w = q * s: torchao's Int8Tensor. */
export function int8Rows({ qdata, scale, dtype, dynamic }: Rows): Form {
  const kwargs = {
    _type: 'QuantizeTensorToInt8Kwargs',
    _data: {
      granularity: { _type: 'PerRow', _data: { dim: -1 } },
      mapping_type: { _type: 'MappingType', _data: 'SYMMETRIC' },
      reduce_range: false,
    },
  };
  const entry = {
    _type: 'Int8Tensor',
    _data: {
      act_quant_kwargs: dynamic ? kwargs : null,
      reduce_range: false,
      block_size: [1, qdata.shape[1]],
      dtype: torchDtype(dtype),
    },
    _tensor_data_names: ['qdata', 'scale'],
  };
  return { entry, parts: [qdata, scale] };
}

interface Float8 {
  readonly qdata: Part;
  /** float32, one a block. */
  readonly scale: Part;
  readonly blockSize: readonly number[];
  readonly dtype: string;
}

/** w = q * s: torchao's Float8Tensor, weights only. */
export function float8({ qdata, scale, blockSize, dtype }: Float8): Form {
  const entry = {
    _type: 'Float8Tensor',
    _data: {
      block_size: blockSize,
      mm_config: null,
      act_quant_kwargs: null,
      kernel_preference: { _type: 'KernelPreference', _data: 'AUTO' },
      dtype: torchDtype(dtype),
    },
    _tensor_data_names: ['qdata', 'scale'],
  };
  return { entry, parts: [qdata, scale] };
}

interface Coded {
  readonly bits: number;
  readonly groupSize: number;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly table?: ArrayLike<number>;
  /** Signed codes [N, K]. */
  readonly codes: () => Promise<Int8Array>;
  /** float32 or half precision [N, K / g]. */
  readonly scale: Part;
  /** Float zero points: w = q * s + z. */
  readonly zero?: Part;
}

/** w = q * s + z, or table[q] * s: our CodedTensor. */
export function coded(c: Coded): Form {
  const [N, K] = c.shape as [number, number];
  const pairs = c.bits <= 4;
  const entry = {
    _type: 'CodedTensor',
    _data: {
      bits: c.bits,
      group_size: c.groupSize,
      table: c.table === undefined ? null : Array.from(c.table),
      shape: c.shape,
      dtype: torchDtype(dtypeName(c.dtype)),
    },
    _tensor_data_names: ['qdata', 'scale', ...(c.zero === undefined ? [] : ['zero_point'])],
  };
  const qdata = codes([N, pairs ? K / 2 : K], async () => (pairs ? paired(await c.codes()) : c.codes()));
  return { entry, parts: [qdata, c.scale, ...(c.zero === undefined ? [] : [c.zero])] };
}

/** Float values that no kind has: plain, in float32 first, rounded to `dtype`. */
export function dense(dtype: string, shape: readonly number[], make: () => Promise<ArrayLike<number>>): Form {
  return { parts: [floats(dtype, shape, make)] };
}
