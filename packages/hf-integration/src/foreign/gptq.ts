// GPTQ: qweight int32 [K * b / 32, N], qzeros int32 [G, N * b / 32], scales [G, N], g_idx int32 [K]; w[n,k] = (q - z) * s of
// group g_idx[k]. Version 1 stores z - 1 (AutoGPTQ: modulo 2^b), version 2 z. Act-order leaves columns of a group apart: they are
// put side by side, behind a permutation.
import type { TensorFile } from '@ao/core';
import { type AoConfig, intxWeightOnly, perAxis, perGroup } from '@ao/quantization';
import type { Fields } from '../config/fields.ts';
import { columnOrder, inOrder } from './column-order.ts';
import { expectTensor, matrixOf, modulesWith, unreadable } from './errors.ts';
import type { ForeignFormat, ForeignTensor } from './format.ts';
import { dense, intx, permuted } from './forms.ts';
import { codes, flipped, valuesOf } from './parts.ts';
import { unpackBits, wordsOf } from './unpack-bits.ts';

const NAME = 'GPTQ';
const BITS = [2, 3, 4, 8];

function bitsOf(config: Fields): number {
  const bits = config.count('bits');
  if (BITS.includes(bits)) return bits;
  throw unreadable(NAME, `bits is ${bits}`, `weights of ${BITS.join(', ')} bits are read`);
}

/** group_size -1 means one group a row. */
function groupOf(config: Fields): number | undefined {
  const size = config.count('group_size', -1, -1);
  return size > 0 ? size : undefined;
}

export const gptq: ForeignFormat = {
  name: NAME,
  matches: (config) => config.json['quant_method'] === 'gptq',

  quantization(config): AoConfig {
    const group = groupOf(config);
    return intxWeightOnly({
      weightDtype: `int${bitsOf(config) as 4}`,
      granularity: group === undefined ? perAxis(0) : perGroup(group),
      mappingType: config.flag('sym', true) ? 'SYMMETRIC' : 'ASYMMETRIC',
    });
  },

  async tensors(file, config) {
    const format = config.text('checkpoint_format', 'gptq');
    if (format !== 'gptq' && format !== 'gptq_v2') {
      const fix = "save it with checkpoint_format 'gptq' or 'gptq_v2'";
      throw unreadable(NAME, `checkpoint_format '${format}' is the layout of one kernel`, fix);
    }
    const bits = bitsOf(config);
    const all: ForeignTensor[] = [];
    for (const module of modulesWith(file, 'qweight')) {
      all.push(await one(file, module, bits, groupOf(config), format === 'gptq' ? 1 : 0));
    }
    return all;
  },
};

/** `bias`: what a stored zero point lacks. */
async function one(
  file: TensorFile,
  module: string,
  bits: number,
  group: number | undefined,
  bias: number,
): Promise<ForeignTensor> {
  const [weight, zeros, scales, index] = ['qweight', 'qzeros', 'scales', 'g_idx'].map(
    (part) => `${module}.${part}`,
  ) as [string, string, string, string];
  const [words, N] = matrixOf(NAME, file, weight);
  const K = (words * 32) / bits;
  const groupSize = group ?? K;
  const G = Math.ceil(K / groupSize);
  expectTensor(NAME, file, weight, ['I32'], [words, N]);
  expectTensor(NAME, file, zeros, ['I32'], [G, (N * bits) / 32]);
  expectTensor(NAME, file, scales, ['F16', 'BF16', 'F32'], [G, N]);
  const half = 2 ** (bits - 1);
  const stored = async (): Promise<Int8Array> => {
    const from = { bits, count: K, lanes: N, wordStride: N, laneStride: 1 };
    return unpackBits(wordsOf(await file.read(weight)), from, { stride: 1, laneStride: K, add: -half });
  };
  const zero = codes([N, G], async () => {
    const from = { bits, count: N, lanes: G, wordStride: 1, laneStride: (N * bits) / 32 };
    const map = (z: number): number => (z + bias) & (2 ** bits - 1);
    return unpackBits(wordsOf(await file.read(zeros)), from, { stride: G, laneStride: 1, add: -half, map });
  });
  const { dtype } = file.entry(scales);
  const uses = [weight, zeros, scales, ...(file.has(index) ? [index] : [])];
  const name = `${module}.weight`;
  const common = { bits, groupSize, dtype, scale: flipped(file, scales), zero };
  const groups = file.has(index) ? Int32Array.from(await valuesOf(file, index)) : undefined;
  if (groups === undefined || groups.every((g, k) => g === Math.floor(k / groupSize))) {
    if (K % groupSize === 0) return { name, uses, ...intx({ ...common, qdata: codes([N, K], stored) }) };
  }
  const at = groups ?? Int32Array.from({ length: K }, (_, k) => Math.floor(k / groupSize));
  if (at.length !== K || at.some((g) => g < 0 || g >= G)) {
    throw unreadable(NAME, `g_idx is not ${K} groups of 0 to ${G - 1}`, 'the checkpoint is damaged', index);
  }
  const perm = K % groupSize === 0 ? columnOrder(at, groupSize) : undefined;
  if (perm !== undefined) {
    const qdata = codes([N, K], async () => inOrder(await stored(), N, perm));
    return { name, uses, ...permuted(intx({ ...common, qdata }), perm) };
  }
  const make = async (): Promise<Float32Array> => {
    const [q, z, s] = [await stored(), new Int8Array((await zero.read()).slice().buffer), await valuesOf(file, scales)];
    return Float32Array.from(q, (code, i) => {
      const [n, g] = [Math.floor(i / K), at[i % K]!];
      return (code - z[n * G + g]!) * s[g * N + n]!;
    });
  };
  const note = `groups of g_idx are not all of ${groupSize} columns: dequantized to ${dtype}`;
  return { name, uses, ...dense(dtype, [N, K], make), note };
}
