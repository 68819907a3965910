// MLX: weight uint32 [N, K * b / 32], scales and biases [N, K / g]; w = q * s + bias with q in 0 .. 2^b - 1, for linear layers and
// embeddings. Here q is signed: w = (q - h) * s + (bias + h * s), h = 2^(b - 1), zero points in float32.
import type { TensorFile } from '@ao/core';
import { type AoConfig, intxWeightOnly, perGroup } from '@ao/quantization';
import { Fields } from '../config/fields.ts';
import { expectTensor, matrixOf, modulesWith, unreadable } from './errors.ts';
import type { ForeignFormat, ForeignTensor } from './format.ts';
import { coded } from './forms.ts';
import { floats, same, valuesOf } from './parts.ts';
import { unpackBits, wordsOf } from './unpack-bits.ts';

const NAME = 'MLX';

function affine(config: Fields): Fields {
  const mode = config.text('mode', 'affine');
  if (mode === 'affine') return config;
  throw unreadable(NAME, `mode is '${mode}'`, "quantize it with mode 'affine'");
}

export const mlx: ForeignFormat = {
  name: NAME,
  matches: (config) => config.json['quant_method'] === undefined && config.has('bits') && config.has('group_size'),

  quantization(config): AoConfig {
    const bits = affine(config).count('bits') as 4;
    const granularity = perGroup(config.count('group_size'));
    return intxWeightOnly({ weightDtype: `int${bits}`, granularity, mappingType: 'ASYMMETRIC' });
  },

  async tensors(file, config) {
    return modulesWith(file, 'scales')
      .filter((module) => file.has(`${module}.weight`))
      .map((module) => {
        // a module may have settings of its own
        const own = config.json[module];
        const settings =
          typeof own === 'object' && own !== null ? new Fields({ ...config.json, ...own }, config.where) : config;
        return one(file, module, affine(settings).count('bits'), settings.count('group_size'));
      });
  },
};

function one(file: TensorFile, module: string, bits: number, groupSize: number): ForeignTensor {
  const [name, scales, biases] = ['weight', 'scales', 'biases'].map((part) => `${module}.${part}`) as [
    string,
    string,
    string,
  ];
  const [N, words] = matrixOf(NAME, file, name);
  const K = (words * 32) / bits;
  expectTensor(NAME, file, name, ['U32'], [N, words]);
  expectTensor(NAME, file, scales, ['F16', 'BF16', 'F32'], [N, K / groupSize]);
  expectTensor(NAME, file, biases, [file.entry(scales).dtype], [N, K / groupSize]);
  const half = 2 ** (bits - 1);
  const codes = async (): Promise<Int8Array> => {
    const from = { bits, count: K, lanes: N, wordStride: 1, laneStride: words };
    return unpackBits(wordsOf(await file.read(name)), from, { stride: 1, laneStride: K, add: -half });
  };
  const zero = floats('F32', [N, K / groupSize], async () => {
    const [s, b] = [await valuesOf(file, scales), await valuesOf(file, biases)];
    return Float32Array.from(s, (value, i) => b[i]! + half * value);
  });
  const { dtype } = file.entry(scales);
  const form = coded({ bits, groupSize, shape: [N, K], dtype, codes, scale: same(file, scales), zero });
  return { name, uses: [name, scales, biases], ...form };
}
