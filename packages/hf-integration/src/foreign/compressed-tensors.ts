// compressed-tensors (llm-compressor, vLLM), by config_groups:
//   pack-quantized   weight_packed int32 [N, ceil(K * b / 32)], weight_scale [N, G], weight_zero_point int32 [ceil(N * b / 32), G]
//                    where asymmetric, weight_shape [2], weight_g_idx [K] where columns are ordered by activation
//   int-quantized    weight int8 [N, K], weight_scale [N, G] or [1]; zero points int8
//   float-quantized  weight float8_e4m3 [N, K], weight_scale of the tensor, rows or blocks; naive-quantized: either
// Codes are signed, stored with 2^(b-1) added where packed; w = (q - z) * s.
import { AoError, type TensorFile } from '@ao/core';
import {
  type AoConfig,
  configFromDict,
  int8DynamicActivationInt8Weight,
  intxWeightOnly,
  perAxis,
  perGroup,
} from '@ao/quantization';
import type { Fields } from '../config/fields.ts';
import { columnOrder, inOrder } from './column-order.ts';
import { expectTensor, matrixOf, modulesWith, unreadable } from './errors.ts';
import type { ForeignFormat, ForeignTensor, Part } from './format.ts';
import { float8, int8Rows, intx, permuted } from './forms.ts';
import { codes, dtypeName, floats, same, valuesOf } from './parts.ts';
import { unpackBits, wordsOf } from './unpack-bits.ts';

const NAME = 'compressed-tensors';
const FORMATS = ['pack-quantized', 'int-quantized', 'float-quantized', 'naive-quantized'];

interface Scheme {
  readonly weights: Fields;
  readonly activations: Fields | undefined;
}

/** The scheme of the first group; others differ in their targets, and tensors tell which they are of. */
function schemesOf(config: Fields): readonly Scheme[] {
  const groups = config.object('config_groups');
  const schemes = Object.keys(groups?.json ?? {}).flatMap((name): Scheme[] => {
    const group = groups!.object(name)!;
    const weights = group.object('weights');
    return weights ? [{ weights, activations: group.object('input_activations') }] : [];
  });
  if (schemes.length === 0)
    throw unreadable(NAME, 'config_groups has no weights', 'give the config.json of the checkpoint');
  const formats = [
    config.text('format', ''),
    ...Object.values(groups!.json).map((g) => (g as { format?: string }).format),
  ];
  const other = formats.find(
    (f) => typeof f === 'string' && f !== '' && f !== 'dense' && f !== 'mixed-precision' && !FORMATS.includes(f),
  );
  if (other !== undefined) throw unreadable(NAME, `its format is '${other}'`, `${FORMATS.join(', ')} are read`);
  return schemes;
}

export const compressedTensors: ForeignFormat = {
  name: NAME,
  matches: (config) => config.json['quant_method'] === 'compressed-tensors',

  quantization(config): AoConfig {
    const { weights, activations } = schemesOf(config)[0]!;
    if (weights.text('type', 'int') === 'float')
      return configFromDict({ _type: 'Float8WeightOnlyConfig', _version: 2, _data: {} });
    const bits = weights.count('num_bits', 8);
    if (bits === 8 && isDynamic(activations)) return int8DynamicActivationInt8Weight();
    const granularity = weights.has('group_size') ? perGroup(weights.count('group_size')) : perAxis(0);
    const mappingType = weights.flag('symmetric', true) ? 'SYMMETRIC' : 'ASYMMETRIC';
    return intxWeightOnly({ weightDtype: `int${bits as 4}`, granularity, mappingType });
  },

  async tensors(file, config) {
    const schemes = schemesOf(config);
    const all: ForeignTensor[] = [];
    for (const module of modulesWith(file, 'weight_scale')) {
      const packed = file.has(`${module}.weight_packed`);
      if (packed) all.push(await packedOne(file, module, schemes));
      else if (file.has(`${module}.weight`)) all.push(plainOne(file, module, schemes));
    }
    return all;
  },
};

const isDynamic = (activations: Fields | undefined): boolean =>
  activations?.json['dynamic'] === true &&
  activations.text('type', 'int') === 'int' &&
  activations.text('strategy', 'token') === 'token' &&
  activations.flag('symmetric', true);

/** What is said where activations are not quantized as the checkpoint wants. */
function activationNote(module: string, { activations }: Scheme, file: TensorFile): Pick<ForeignTensor, 'note'> {
  if (activations === undefined || isDynamic(activations)) return {};
  const how = file.has(`${module}.input_scale`)
    ? 'a static scale'
    : `strategy ${activations.text('strategy', 'tensor')}`;
  return { note: `its ${activations.text('type', 'int')} activations (${how}) stay in full precision` };
}

const EXTRA = ['weight_shape', 'weight_zero_point', 'weight_g_idx', 'input_scale', 'input_zero_point'];

function usesOf(file: TensorFile, module: string, weight: string): string[] {
  return [weight, 'weight_scale', ...EXTRA].map((part) => `${module}.${part}`).filter((key) => file.has(key));
}

async function packedOne(file: TensorFile, module: string, schemes: readonly Scheme[]): Promise<ForeignTensor> {
  const key = `${module}.weight_packed`;
  const [N, words] = matrixOf(NAME, file, key);
  const shape = Array.from(await valuesOf(file, `${module}.weight_shape`), Number);
  const K = shape[1] ?? 0;
  const scheme = schemes.find(({ weights }) => Math.ceil((K * weights.count('num_bits')) / 32) === words);
  if (shape[0] !== N || scheme === undefined) {
    throw unreadable(
      NAME,
      `${words} words a row do not hold [${shape}] in the bits of config_groups`,
      'give the config.json of the checkpoint',
      key,
    );
  }
  const bits = scheme.weights.count('num_bits');
  const { G, groupSize, scale } = await scaleOf(file, module, N, K);
  const half = 2 ** (bits - 1);
  expectTensor(NAME, file, key, ['I32'], [N, words]);
  const qdata = codes([N, K], async () => {
    const from = { bits, count: K, lanes: N, wordStride: 1, laneStride: words };
    return unpackBits(wordsOf(await file.read(key)), from, { stride: 1, laneStride: K, add: -half });
  });
  const zeros = `${module}.weight_zero_point`;
  const zero = codes([N, G], async () => {
    if (!file.has(zeros)) return new Int8Array(N * G);
    const from = { bits, count: N, lanes: G, wordStride: G, laneStride: 1 };
    return unpackBits(wordsOf(await file.read(zeros)), from, { stride: G, laneStride: 1, add: -half });
  });
  const common = { bits, groupSize, dtype: file.entry(`${module}.weight_scale`).dtype, scale, zero };
  const rest = {
    name: `${module}.weight`,
    uses: usesOf(file, module, 'weight_packed'),
    ...activationNote(module, scheme, file),
  };
  const index = `${module}.weight_g_idx`;
  const groups = file.has(index) ? Int32Array.from(await valuesOf(file, index)) : undefined;
  if (groups === undefined || groups.every((g, k) => g === -1 || g === Math.floor(k / groupSize))) {
    return { ...rest, ...intx({ ...common, qdata }) };
  }
  const perm = columnOrder(groups, groupSize);
  if (perm === undefined)
    throw unreadable(
      NAME,
      `groups of weight_g_idx are not all of ${groupSize} columns`,
      'quantize the model again',
      index,
    );
  const sorted = codes([N, K], async () => inOrder(new Int8Array((await qdata.read()).slice().buffer), N, perm));
  return { ...rest, ...permuted(intx({ ...common, qdata: sorted }), perm) };
}

function plainOne(file: TensorFile, module: string, schemes: readonly Scheme[]): ForeignTensor {
  const name = `${module}.weight`;
  const [N, K] = matrixOf(NAME, file, name);
  const { dtype } = file.entry(name);
  const type = dtype === 'I8' ? 'int' : 'float';
  const scheme = schemes.find(({ weights }) => weights.text('type', 'int') === type);
  if (scheme === undefined || (dtype !== 'I8' && dtype !== 'F8_E4M3')) {
    throw new AoError('ERR_AO_FORMAT', `${NAME}: it is ${dtype}, which config_groups does not tell of`, {
      tensor: name,
      fix: 'int8 and float8_e4m3fn are read',
    });
  }
  const rest = { name, uses: usesOf(file, module, 'weight') };
  const note = activationNote(module, scheme, file);
  const grid = gridOf(file, `${module}.weight_scale`, N, K);
  const half = file.entry(`${module}.weight_scale`).dtype;
  if (type === 'float') {
    const scale = asFloat32(file, `${module}.weight_scale`, grid);
    const blockSize = [Math.ceil(N / grid[0]!), Math.ceil(K / grid[1]!)];
    const quantized = scheme.activations === undefined ? {} : { note: 'its float8 activations stay in full precision' };
    return { ...rest, ...float8({ qdata: same(file, name), scale, blockSize, dtype: dtypeName(half) }), ...quantized };
  }
  const zeros = `${module}.weight_zero_point`;
  const symmetric = !file.has(zeros) && grid[1] === 1;
  if (symmetric && grid[0] === N) {
    const scale = asFloat32(file, `${module}.weight_scale`, grid);
    const dynamic = isDynamic(scheme.activations);
    return { ...rest, ...note, ...int8Rows({ qdata: same(file, name), scale, dtype: dtypeName(half), dynamic }) };
  }
  const rows = grid[0] === N ? grid : [N, grid[1]!];
  const spread = <T>(values: ArrayLike<T>, i: number): T => values[grid[0] === N ? i : i % grid[1]!]!;
  const [count, groupSize] = [N * rows[1]!, K / rows[1]!];
  const scale = floats(half, rows, async () => {
    const s = await valuesOf(file, `${module}.weight_scale`);
    return Float32Array.from({ length: count }, (_, i) => spread(s, i));
  });
  const zero = codes(rows, async () => {
    const z = file.has(zeros) ? await valuesOf(file, zeros) : [0];
    return Int8Array.from({ length: count }, (_, i) => (z.length === 1 ? z[0]! : spread(z, i)));
  });
  return { ...rest, ...note, ...intx({ bits: 8, groupSize, dtype: half, qdata: same(file, name), scale, zero }) };
}

/** Blocks down and across: scales are [], [1], [N, 1], [N, G] or one for each block. */
function gridOf(file: TensorFile, key: string, N: number, K: number): readonly number[] {
  const { shape } = file.entry(key);
  const grid = shape.length === 2 ? shape : [shape[0] ?? 1, 1];
  if (grid[0]! <= N && K % grid[1]! === 0) return grid;
  throw unreadable(NAME, `scales [${shape}] do not fit a weight [${N}, ${K}]`, 'write the checkpoint again', key);
}

async function scaleOf(
  file: TensorFile,
  module: string,
  N: number,
  K: number,
): Promise<{ G: number; groupSize: number; scale: Part }> {
  const key = `${module}.weight_scale`;
  const [rows, G] = gridOf(file, key, N, K) as [number, number];
  expectTensor(NAME, file, key, ['F16', 'BF16', 'F32'], file.entry(key).shape);
  if (rows === N) return { G, groupSize: K / G, scale: same(file, key, [N, G]) };
  const scale = floats(file.entry(key).dtype, [N, 1], async () =>
    new Float32Array(N).fill((await valuesOf(file, key))[0]!),
  );
  return { G: 1, groupSize: K, scale };
}

function asFloat32(file: TensorFile, key: string, shape: readonly number[]): Part {
  return floats('F32', shape, () => valuesOf(file, key));
}
