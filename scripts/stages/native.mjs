// The native kernels: the addon, and the kernels' own CMake project with its tests, once optimized and once under sanitizers.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { at } from '../lib/checkout.mjs';
import { fromCtest, one } from '../lib/counts.mjs';
import { works } from '../lib/run.mjs';
import { buildNative } from '../lib/setup.mjs';

/** @type {import('../lib/stages.mjs').Stage} */
export const native = {
  name: 'native',
  native: true,
  about: 'builds the addon of the cpu backend (cached by turbo)',
  async run() {
    await buildNative();
    return one(0);
  },
};

/** @typedef {import('../lib/stages.mjs').Context} Context */

/** Builds what is configured in `build` and runs the tests of `tests`, a folder in it.
 * @param {Context} context @param {string} build @param {string} tests @param {NodeJS.ProcessEnv} env */
export async function buildAndTest({ exec }, build, tests, env) {
  const jobs = process.env['CMAKE_BUILD_PARALLEL_LEVEL'] ?? String(availableParallelism());
  if ((await exec('cmake', ['--build', build, '--parallel', jobs])).code !== 0) return one(1);
  const junit = at(build, 'junit.xml');
  rmSync(junit, { force: true });
  const output = ['--output-on-failure', '--output-junit', junit, '--test-output-size-passed', '65536'];
  const tested = await exec('ctest', ['--test-dir', tests, '--no-tests=error', '--parallel', jobs, ...output], { env });
  return fromCtest(junit, tested.code);
}

/** Tests kernels/cpu as the project of its own that it is.
 * @param {Context} context @param {string} build @param {readonly string[]} settings @param {NodeJS.ProcessEnv} [env] */
async function testAlone(context, build, settings, env = {}) {
  const fresh = !existsSync(at(build, 'CMakeCache.txt'));
  const generator = fresh && works('ninja') ? ['-G', 'Ninja'] : [];
  const configure = ['-S', 'kernels/cpu', '-B', build, ...generator, '-DAO_TESTS=ON', ...settings];
  if ((await context.exec('cmake', configure)).code !== 0) return one(1);
  return buildAndTest(context, build, build, env);
}

/** Adds the tests to the addon's build while they run: its kernels are compiled already.
 * @param {Context} context @param {string} build */
async function testBesideAddon(context, build) {
  const tests = (/** @type {string} */ state) => context.exec('cmake', [`-DAO_TESTS=${state}`, build]);
  if ((await tests('ON')).code !== 0) return one(1);
  try {
    return await buildAndTest(context, build, `${build}/kernels`, {});
  } finally {
    await tests('OFF');
  }
}

/** @type {import('../lib/stages.mjs').Stage} */
export const ctest = {
  name: 'ctest',
  native: true,
  about: 'the C++ tests of kernels/cpu on every instruction set',
  async run(context) {
    const addon = 'packages/kernels-cpu/build';
    if (existsSync(at(addon, 'CMakeCache.txt'))) return testBesideAddon(context, addon);
    return testAlone(context, 'build/cpu', ['-DCMAKE_BUILD_TYPE=Release']);
  },
};

/** The instruction set that the sanitized build leaves out, as it takes long: AVX2 where this machine runs AVX-512, else that. */
function leftOut() {
  if (process.arch !== 'x64' || !existsSync('/proc/cpuinfo')) return '';
  return readFileSync('/proc/cpuinfo', 'utf8').includes('avx512_bf16') ? 'avx2' : 'avx512';
}

/** @type {import('../lib/stages.mjs').Stage} */
export const ctestSanitized = {
  name: 'ctest-sanitized',
  native: true,
  about: 'the same under AddressSanitizer and UndefinedBehaviorSanitizer: portable code and the best instruction set',
  run: (context) =>
    testAlone(
      context,
      'build/cpu-sanitized',
      ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DAO_SANITIZE=address,undefined', `-DAO_WITHOUT=${leftOut()}`],
      {
        ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1',
        UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
        AO_TEST_EVERY: '8',
      },
    ),
};
