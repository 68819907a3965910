// torchAoObject: torchao's tensor subclasses as torch.save pickles them, in the form of its safetensors. Version 1
// (AffineQuantizedTensor with a plain implementation, alone or behind LinearActivationQuantizedTensor) becomes the tensor of
// version 2 that means the same; version 2's classes are described by their own attributes.
import { AoError, decodeArray, dtypeBySafetensors, encodeArray, float32, rawView } from '@ao/core';
import type { ForeignTensor, Part } from '../foreign/format.ts';
import { float8, int8Rows, intx } from '../foreign/forms.ts';
import { codes, dtypeName } from '../foreign/parts.ts';
import { SUBBYTE, TORCH_DTYPES } from './safe-globals.ts';
import { PickleGlobal, PickleObject, PickleTuple, TorchSubclass, TorchTensor } from './values.ts';

type Form = Pick<ForeignTensor, 'entry' | 'parts' | 'note'>;
type PartOf = (t: TorchTensor) => Part;

const classOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

export function torchAoObject(file: string, name: string, value: TorchSubclass, partOf: PartOf): Form {
  const wrong = (what: string): AoError =>
    new AoError('ERR_AO_FORMAT', `${file}: it is a ${what}, which is not read`, {
      tensor: name,
      fix: 'save the unquantized model, or quantize it with a recent torchao and save_pretrained',
    });
  const type = classOf(value.global);
  if (type === 'LinearActivationQuantizedTensor') {
    const inner = value.get('original_weight_tensor');
    const fn = value.get('input_quant_func');
    const how = fn instanceof PickleGlobal ? classOf(fn.name) : '';
    if (inner instanceof TorchSubclass) return affine(inner, partOf, wrong, how);
  }
  if (type === 'AffineQuantizedTensor') return affine(value, partOf, wrong);
  if (type === 'Float8Tensor') return float8Of(value, partOf, wrong);
  if (type === 'Int8Tensor' || type === 'IntxUnpackedToInt8Tensor' || type === 'Int4Tensor') {
    return byAttributes(type, value, partOf, wrong);
  }
  throw wrong(value.global || 'tensor subclass');
}

type Wrong = (what: string) => AoError;

/** Quantization of activations by version 1's functions. */
const ASYMMETRIC = '_int8_asymm_per_token_quant';
const SYMMETRIC = /^_int8_symm_per_token(_reduced_range)?_quant/;

function affine(t: PickleObject, partOf: PartOf, wrong: Wrong, activation?: string): Form {
  const impl = t.get('tensor_impl');
  const shape = numbers(t.args[2]);
  const dtype = TORCH_DTYPES[t.args[1] instanceof PickleGlobal ? classOf(t.args[1].name) : ''];
  const block = numbers(t.get('block_size'));
  if (!(impl instanceof PickleObject) || shape.length !== 2 || block.length !== 2 || dtype === undefined) {
    throw wrong('damaged AffineQuantizedTensor');
  }
  const [data, scale, zero] = ['int_data', 'scale', 'zero_point'].map((part) => impl.get(part));
  const float = impl.get('float8_data');
  const [N, K] = shape as [number, number];
  const grid = [N / block[0]!, K / block[1]!];
  if (!(scale instanceof TorchTensor)) throw wrong(impl.global);
  if (float instanceof TorchTensor) {
    if (impl.get('transposed') === true || activation !== undefined)
      throw wrong(`${impl.global} with quantized activations`);
    return float8({
      qdata: partOf(float),
      scale: asFloat32(partOf(scale), grid),
      blockSize: block,
      dtype: dtypeName(dtype),
    });
  }
  if (!(data instanceof TorchTensor) || data.dtype !== 'I8' || block[0] !== 1) throw wrong(impl.global);
  const bits = bitsOf(t.get('quant_min'), t.get('quant_max'));
  const domain = t.get('zero_point_domain');
  const isInt =
    !(domain instanceof PickleObject) || domain.args[0] === 1 || domain.args[0] === 'INT' || domain.args[0] === 3;
  if (bits === undefined || !isInt) throw wrong(`${impl.global} with float zero points or an own range`);
  if (activation !== undefined && SYMMETRIC.test(activation) && grid[1] === 1) {
    const form = int8Rows({
      qdata: partOf(data),
      scale: asFloat32(partOf(scale), grid),
      dtype: dtypeName(dtype),
      dynamic: true,
    });
    return {
      ...form,
      note: 'its activations are rounded to amax / 127.5 a row, as torchao does since version 2 (before: / 127)',
    };
  }
  if (activation !== undefined && activation !== ASYMMETRIC) throw wrong(`weight behind ${activation}`);
  const points = codes(grid, async () => {
    if (!(zero instanceof TorchTensor)) return new Int8Array(grid[0]! * grid[1]!);
    const from = dtypeBySafetensors(zero.dtype);
    return Int8Array.from(decodeArray(from, rawView(from, await partOf(zero).read())));
  });
  const form = intx({
    bits,
    groupSize: block[1]!,
    dtype,
    qdata: partOf(data),
    scale: { ...partOf(scale), shape: grid },
    zero: points,
  });
  const entry = form.entry as { readonly _data: object };
  return {
    ...form,
    entry: {
      ...entry,
      _data: { ...entry._data, activation_quantization: activation === undefined ? null : 'int8_asym_per_token' },
    },
  };
}

function asFloat32(part: Part, shape: readonly number[]): Part {
  const from = dtypeBySafetensors(part.dtype);
  return {
    dtype: 'F32',
    shape,
    read: async () => {
      const { buffer, byteOffset, byteLength } = encodeArray(
        float32,
        decodeArray(from, rawView(from, await part.read())),
      );
      return new Uint8Array(buffer, byteOffset, byteLength);
    },
  };
}

/** Of a range -2^(b-1) .. 2^(b-1) - 1; none given means int8. */
function bitsOf(min: unknown, max: unknown): number | undefined {
  if ((min ?? null) === null && (max ?? null) === null) return 8;
  const bits = Math.log2(-Number(min)) + 1;
  return Number.isInteger(bits) && bits >= 1 && bits <= 8 && Number(max) === 2 ** (bits - 1) - 1 ? bits : undefined;
}

const numbers = (value: unknown): number[] =>
  value instanceof PickleTuple || Array.isArray(value)
    ? ((value instanceof PickleTuple ? value.items : value) as unknown[]).filter(
        (n): n is number => typeof n === 'number',
      )
    : [];

/** Version 2's, weights only. */
function float8Of(t: TorchSubclass, partOf: PartOf, wrong: Wrong): Form {
  const [qdata, scale] = [t.get('qdata'), t.get('scale')];
  const dtype = t.args[1] instanceof PickleGlobal ? classOf(t.args[1].name) : '';
  if (!(qdata instanceof TorchTensor && scale instanceof TorchTensor)) throw wrong('damaged Float8Tensor');
  const form = float8({ qdata: partOf(qdata), scale: partOf(scale), blockSize: numbers(t.get('block_size')), dtype });
  if ((t.get('act_quant_kwargs') ?? null) === null) return form;
  return { ...form, note: 'its float8 activations stay in full precision' };
}

/** Parts and attributes by name, as the metadata of torchao's safetensors has them. */
function byAttributes(type: string, t: PickleObject, partOf: PartOf, wrong: Wrong): Form {
  if (!(t.state instanceof Map)) throw wrong(`damaged ${type}`);
  const dtype = t.args[1] instanceof PickleGlobal ? classOf(t.args[1].name) : '';
  const data: Record<string, unknown> = { dtype: { _type: 'torch.dtype', _data: dtype }, shape: numbers(t.args[2]) };
  const names: string[] = [];
  const parts: Part[] = [];
  for (const [name, value] of t.state) {
    if (value instanceof TorchTensor) {
      names.push(String(name));
      parts.push(partOf(value));
    } else data[String(name)] = attribute(value, () => wrong(`${type} with ${String(name)}`));
  }
  return { entry: { _type: type, _data: data, _tensor_data_names: names }, parts };
}

function attribute(value: unknown, wrong: () => AoError): unknown {
  if (value instanceof PickleTuple) return value.items.map((item) => attribute(item, wrong));
  if (Array.isArray(value)) return value.map((item) => attribute(item, wrong));
  if (value instanceof PickleGlobal && TORCH_DTYPES[classOf(value.name)] !== undefined) {
    return { _type: 'torch.dtype', _data: classOf(value.name) };
  }
  if (value instanceof PickleGlobal && SUBBYTE.test(value.name))
    return { _type: 'torch.dtype', _data: classOf(value.name) };
  if (value instanceof PickleObject && classOf(value.global) === 'QuantizeTensorToInt8Kwargs')
    return int8Kwargs(value, wrong);
  if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) return value;
  throw wrong();
}

/** Enum members are pickled by value. */
const MAPPINGS: Readonly<Record<number, string>> = { 1: 'SYMMETRIC', 2: 'SYMMETRIC_NO_CLIPPING_ERR', 3: 'ASYMMETRIC' };

function int8Kwargs(value: PickleObject, wrong: () => AoError): unknown {
  const [granularity, mapping] = [value.get('granularity'), value.get('mapping_type')];
  const name = mapping instanceof PickleObject ? MAPPINGS[Number(mapping.args[0])] : undefined;
  if (!(granularity instanceof PickleObject) || name === undefined) throw wrong();
  return {
    _type: 'QuantizeTensorToInt8Kwargs',
    _data: {
      granularity: { _type: classOf(granularity.global), _data: { dim: granularity.get('dim') ?? -1 } },
      mapping_type: { _type: 'MappingType', _data: name },
      reduce_range: value.get('reduce_range') === true,
    },
  };
}
