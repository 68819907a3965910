// AWQ, GEMM layout: qweight int32 [K, N / 8], qzeros int32 [G, N / 8], scales [G, N]; w[n,k] = (q - z) * s. Of eight columns that
// share a word, column j lies at nibble [0, 4, 1, 5, 2, 6, 3, 7][j].
import type { TensorFile } from '@ao/core';
import { type AoConfig, intxWeightOnly, perGroup } from '@ao/quantization';
import type { Fields } from '../config/fields.ts';
import { expectTensor, matrixOf, modulesWith, unreadable } from './errors.ts';
import type { ForeignFormat, ForeignTensor } from './format.ts';
import { intx } from './forms.ts';
import { codes, flipped } from './parts.ts';
import { unpackBits, wordsOf } from './unpack-bits.ts';

const NAME = 'AWQ';
const ORDER = [0, 4, 1, 5, 2, 6, 3, 7];
const BITS = 4;

function check(config: Fields): void {
  const bits = config.count('bits', config.json['w_bit'] as number | undefined);
  const version = config.text('version', 'gemm').toLowerCase();
  if (bits !== BITS) throw unreadable(NAME, `bits is ${bits}`, 'weights of 4 bits are read');
  if (version !== 'gemm') throw unreadable(NAME, `version is '${version}'`, "save it with version 'gemm'");
}

const groupOf = (config: Fields): number =>
  config.count('group_size', config.json['q_group_size'] as number | undefined, -1);

export const awq: ForeignFormat = {
  name: NAME,
  matches: (config) => config.json['quant_method'] === 'awq',

  quantization(config): AoConfig {
    check(config);
    return intxWeightOnly({ weightDtype: 'int4', granularity: perGroup(groupOf(config)), mappingType: 'ASYMMETRIC' });
  },

  async tensors(file, config) {
    check(config);
    return modulesWith(file, 'qweight').map((module) => one(file, module, groupOf(config)));
  },
};

function one(file: TensorFile, module: string, group: number): ForeignTensor {
  const [weight, zeros, scales] = ['qweight', 'qzeros', 'scales'].map((part) => `${module}.${part}`) as [
    string,
    string,
    string,
  ];
  const [K, words] = matrixOf(NAME, file, weight);
  const N = words * 8;
  const groupSize = group > 0 ? group : K;
  const G = K / groupSize;
  expectTensor(NAME, file, weight, ['I32'], [K, words]);
  expectTensor(NAME, file, zeros, ['I32'], [G, words]);
  expectTensor(NAME, file, scales, ['F16', 'BF16', 'F32'], [G, N]);
  const layout = { bits: BITS, count: N, wordStride: 1, laneStride: words, order: ORDER };
  const unpacked = async (key: string, lanes: number): Promise<Int8Array> =>
    unpackBits(wordsOf(await file.read(key)), { ...layout, lanes }, { stride: lanes, laneStride: 1, add: -8 });
  const form = intx({
    bits: BITS,
    groupSize,
    dtype: file.entry(scales).dtype,
    qdata: codes([N, K], () => unpacked(weight, K)),
    scale: flipped(file, scales),
    zero: codes([N, G], () => unpacked(zeros, G)),
  });
  return { name: `${module}.weight`, uses: [weight, zeros, scales], ...form };
}
