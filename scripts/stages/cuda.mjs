// The cuda backend without a GPU: its kernels on the emulator, which the tests of packages/kernels-cuda use, the C++ tests, and the addon
// itself where there is nvcc.
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { one, sum } from '../lib/counts.mjs';
import { works } from '../lib/run.mjs';
import { buildAndTest } from './native.mjs';

const nvcc = () => works('nvcc') || existsSync('/usr/local/cuda/bin/nvcc');

/** @type {import('../lib/stages.mjs').Stage} */
export const cuda = {
  name: 'cuda',
  about: 'builds the cuda kernels for the emulator and, where there is nvcc, for GPUs; the C++ tests that need no GPU',
  async run(context) {
    const jobs = ['-p', String(availableParallelism())];
    const script = 'packages/kernels-cuda/scripts/build-native.mjs';
    const emulated = await context.exec('node', [script, '--emulate', ...jobs]);
    if (emulated.code !== 0) return one(1);
    const build = 'packages/kernels-cuda/build-emulated';
    const counts = [one(0), await buildAndTest(context, build, `${build}/kernels`, {})];
    if (nvcc()) {
      // PTX alone: machine code of each architecture would take as long again
      const real = await context.exec('node', [script, ...jobs, '--CDAO_CUDA_ARCHITECTURES=80-virtual']);
      counts.push(one(real.code === 0 ? 0 : 1));
      return sum(counts);
    }
    return { ...sum(counts), skipped: 1, reasons: ['the addon for GPUs: there is no nvcc'] };
  },
};
