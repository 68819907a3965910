// HQQ: W_q, scale and zero of each linear layer, and its settings as tensors of their own (encoded_state_dict);
// w = (q - zero) * scale, zero points in float. The weight is reshaped to [N * K / g, g] (axis 1, scales a row) or
// [g, N * K / g] (axis 0, scales a column) and packed along its first dimension, the first part in the highest bits.
// With signed q: w = (q - h) * s + (h - zero) * s, h = 2^(b - 1), zero points in float32.
import type { TensorFile } from '@ao/core';
import { type AoConfig, intxWeightOnly, perGroup } from '@ao/quantization';
import { Fields } from '../config/fields.ts';
import { unreadable } from './errors.ts';
import type { ForeignFormat, ForeignTensor } from './format.ts';
import { coded, dense } from './forms.ts';
import { floats, valuesOf } from './parts.ts';
import { wordsOf } from './unpack-bits.ts';

const NAME = 'HQQ';
/** Values a packed element holds. */
const PACKED: Readonly<Record<number, number>> = { 8: 1, 4: 2, 3: 10, 2: 4, 1: 8 };
const SETTINGS = [
  ...[
    'nbits',
    'group_size',
    'shape',
    'axis',
    'packing',
    'unpack_view_dtype',
    'view_as_float',
    'compute_dtype',
    'quant_scale',
    'quant_zero',
  ],
  ...['offload_meta', 'encoded_state_dict', 'stores_quant_config', 'channel_wise', 'optimize', 'round_zero'],
];

interface Settings {
  readonly bits: number;
  readonly groupSize: number;
  readonly shape: readonly [number, number];
  readonly axis: number;
}

/** The settings of config.json: { weight_quant_params }, or by module. */
function params(config: Fields): Fields {
  const all = config.object('quant_config') ?? config;
  const own = all.object('weight_quant_params');
  if (own !== undefined) return own;
  const [first] = Object.values(all.json);
  return new Fields(
    (first as Record<string, never> | undefined)?.['weight_quant_params'] ?? {},
    `${config.where} quant_config`,
  );
}

export const hqq: ForeignFormat = {
  name: NAME,
  matches: (config) => config.json['quant_method'] === 'hqq',

  quantization(config): AoConfig {
    const bits = Math.ceil(params(config).positive('nbits', 4)) as 4;
    const granularity = perGroup(params(config).count('group_size', 64));
    return intxWeightOnly({ weightDtype: `int${bits}`, granularity, mappingType: 'ASYMMETRIC' });
  },

  async tensors(file) {
    const all: ForeignTensor[] = [];
    for (const key of file.names) if (key.endsWith('.W_q')) all.push(await one(file, key.slice(0, -'.W_q'.length)));
    return all;
  },
};

async function settingsOf(file: TensorFile, module: string): Promise<Settings> {
  const numbers = async (name: string): Promise<number[]> => {
    const key = `${module}.${name}`;
    if (file.has(key)) return Array.from(await valuesOf(file, key), Number);
    throw unreadable(NAME, 'the file lacks this setting', 'save the model with a recent hqq (encoded_state_dict)', key);
  };
  const [[bits], [groupSize], shape, [axis]] = [
    await numbers('nbits'),
    await numbers('group_size'),
    await numbers('shape'),
    await numbers('axis'),
  ] as [[number], [number], [number, number], [number]];
  const whole = [groupSize, ...shape].every((n) => Number.isInteger(n) && n > 0);
  if (PACKED[bits] === undefined || !whole || shape.length !== 2 || (axis !== 0 && axis !== 1)) {
    const got = `${bits} bits, groups of ${groupSize}, shape [${shape}], axis ${axis}`;
    throw unreadable(NAME, got, `weights of ${Object.keys(PACKED).join(', ')} bits are read`, `${module}.W_q`);
  }
  return { bits, groupSize, shape, axis };
}

async function one(file: TensorFile, module: string): Promise<ForeignTensor> {
  const { bits, groupSize, shape, axis } = await settingsOf(file, module);
  const [N, K] = shape;
  const of = (part: string): string => `${module}.${part}`;
  const name = of('weight');
  const uses = [of('W_q'), of('scale'), of('zero'), ...SETTINGS.map(of).filter((key) => file.has(key))];
  const half = 2 ** (bits - 1);
  const count = (N * K) / groupSize;
  const codes = async (): Promise<Int8Array> => {
    const [rows, width] = axis === 1 ? [count, groupSize] : [groupSize, count];
    return unpackRows(await file.read(of('W_q')), bits, rows, width, -half);
  };
  const { dtype } = file.entry(of('scale'));
  const scales = async (): Promise<[ArrayLike<number>, ArrayLike<number>]> => {
    const pair = [await valuesOf(file, of('scale')), await valuesOf(file, of('zero'))] as const;
    if (pair.every((values) => values.length === count)) return [pair[0], pair[1]];
    throw unreadable(NAME, `scale and zero are not ${count} values`, 'write the checkpoint again', name);
  };
  const zeros = ([s, z]: [ArrayLike<number>, ArrayLike<number>]): Float32Array =>
    Float32Array.from(s, (value, i) => (half - z[i]!) * value);
  if (axis === 1 && K % groupSize === 0 && (bits > 4 || K % 2 === 0)) {
    const grid = [N, K / groupSize];
    const scale = floats(dtype, grid, async () => (await scales())[0]);
    const zero = floats('F32', grid, async () => zeros(await scales()));
    return { name, uses, ...coded({ bits, groupSize, shape, dtype, codes, scale, zero }) };
  }
  const make = async (): Promise<Float32Array> => {
    const [q, both] = [await codes(), await scales()];
    const [s, z] = [both[0], zeros(both)];
    const group = axis === 1 ? (i: number): number => Math.floor(i / groupSize) : (i: number): number => i % count;
    return Float32Array.from(q, (code, i) => Math.fround(code * s[group(i)]!) + z[group(i)]!);
  };
  const why = axis === 0 ? 'groups along the rows (axis 0)' : `groups of ${groupSize} cross its rows of ${K}`;
  return { name, uses, ...dense(dtype, shape, make), note: `${why}: dequantized to ${dtype}` };
}

/** Codes [rows, width] of packed elements [ceil(rows / per), width]: row r lies in part floor(r / step), the first one highest. */
function unpackRows(bytes: Uint8Array, bits: number, rows: number, width: number, add: number): Int8Array {
  const per = PACKED[bits]!;
  const step = Math.ceil(rows / per);
  const packed = bits === 3 ? wordsOf(bytes) : bytes;
  if (packed.length < step * width)
    throw unreadable(
      NAME,
      `${packed.length} packed values, ${step * width} were expected`,
      'write the checkpoint again',
    );
  const mask = 2 ** bits - 1;
  const out = new Int8Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const shift = (per - 1 - Math.floor(r / step)) * bits;
    const from = (r % step) * width;
    for (let c = 0; c < width; c++) out[r * width + c] = ((packed[from + c]! >>> shift) & mask) + add;
  }
  return out;
}
