// The native kernels: the addon, and the kernels' own CMake project with its tests, once optimized and once under sanitizers.
import { existsSync } from 'node:fs';
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

/** @param {string} build @param {readonly string[]} settings @param {NodeJS.ProcessEnv} env
 * @returns {import('../lib/stages.mjs').Stage['run']} */
const ctestIn =
  (build, settings, env) =>
  async ({ exec }) => {
    const source = 'kernels/cpu';
    if (!existsSync(at(source, 'CMakeLists.txt'))) return `there is no ${source}/CMakeLists.txt`;
    const fresh = !existsSync(at(build, 'CMakeCache.txt'));
    const generator = fresh && works('ninja') ? ['-G', 'Ninja'] : [];
    const configured = await exec('cmake', ['-S', source, '-B', build, ...generator, '-DAO_TESTS=ON', ...settings]);
    if (configured.code !== 0) return one(1);
    const jobs = process.env['CMAKE_BUILD_PARALLEL_LEVEL'] ?? String(availableParallelism());
    if ((await exec('cmake', ['--build', build, '--parallel', jobs])).code !== 0) return one(1);
    const junit = at(build, 'junit.xml');
    const output = ['--output-on-failure', '--output-junit', junit, '--test-output-size-passed', '65536'];
    const tested = await exec('ctest', ['--test-dir', build, '--no-tests=error', '--parallel', jobs, ...output], {
      env,
    });
    return fromCtest(junit, tested.code);
  };

/** @type {import('../lib/stages.mjs').Stage} */
export const ctest = {
  name: 'ctest',
  native: true,
  about: 'the C++ tests of kernels/cpu on every instruction set',
  run: ctestIn('build/cpu', ['-DCMAKE_BUILD_TYPE=Release'], {}),
};

/** @type {import('../lib/stages.mjs').Stage} */
export const ctestSanitized = {
  name: 'ctest-sanitized',
  native: true,
  about: 'the same under AddressSanitizer and UndefinedBehaviorSanitizer',
  run: ctestIn('build/cpu-sanitized', ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DAO_SANITIZE=address,undefined'], {
    ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  }),
};
