// The cuda backend without a GPU: its kernels on the emulator, which the tests of packages/kernels-cuda use, the C++ tests, and, asked for by
// AO_NVCC=1, the addon itself, which takes nvcc a minute.
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { one, sum } from '../lib/counts.mjs';
import { works } from '../lib/run.mjs';
import { buildAndTest } from './native.mjs';

const nvcc = () => works('nvcc') || existsSync('/usr/local/cuda/bin/nvcc');

/** @type {import('../lib/stages.mjs').Stage} */
export const cuda = {
  name: 'cuda',
  about: 'builds the cuda kernels for the emulator and, with AO_NVCC=1, for GPUs; the C++ tests that need no GPU',
  async run(context) {
    const jobs = ['-p', String(availableParallelism())];
    const script = 'packages/kernels-cuda/scripts/build-native.mjs';
    const emulated = await context.exec('node', [script, '--emulate', ...jobs]);
    if (emulated.code !== 0) return one(1);
    const build = 'packages/kernels-cuda/build-emulated';
    const counts = [one(0), await buildAndTest(context, build, `${build}/kernels`, {})];
    const asked = process.env['AO_NVCC'] === '1';
    if (!asked || !nvcc())
      return {
        ...sum(counts),
        skipped: 1,
        reasons: [`the addon for GPUs: ${asked ? 'there is no nvcc' : 'AO_NVCC=1 builds it'}`],
      };
    // PTX alone: machine code of each architecture would take as long again
    const real = await context.exec('node', [script, ...jobs, '--CDAO_CUDA_ARCHITECTURES=80-virtual']);
    return sum([...counts, one(real.code === 0 ? 0 : 1)]);
  },
};
