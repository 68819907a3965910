// Builds the addon with cmake-js into build/Release/ao_cuda.node (needs nvcc 12 or newer and nothing else of CUDA), or, with --emulate, one
// that runs the kernels on the host into build-emulated/Release. Without nvcc it says so and ends with 77. Other arguments go on to cmake-js.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const emulate = process.argv.includes('--emulate');
const rest = process.argv.slice(2).filter((a) => a !== '--emulate');
const homes = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].filter(Boolean);
const nvcc = [process.env.CUDACXX, ...homes.map((h) => `${h}/bin/nvcc`)].find((f) => f && existsSync(f)) ?? 'nvcc';
if (!emulate && spawnSync(nvcc, ['--version'], { stdio: 'ignore' }).status !== 0) {
  console.error(`The cuda addon is not built: there is no nvcc (looked in ${homes.join(', ')} and PATH).`);
  process.exit(77);
}
const require = createRequire(import.meta.url);
const manifest = require.resolve('cmake-js/package.json');
const bin = fileURLToPath(new URL(require('cmake-js/package.json').bin['cmake-js'], `file://${manifest}`));
const out = emulate
  ? ['--out', 'build-emulated', '--CDAO_EMULATE=ON', '--CDAO_TESTS=ON']
  : [`--CDCMAKE_CUDA_COMPILER=${nvcc}`];
const { status } = spawnSync(process.execPath, [bin, 'compile', '--CDCMAKE_BUILD_TYPE=Release', ...out, ...rest], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  stdio: 'inherit',
});
process.exit(status ?? 1);
