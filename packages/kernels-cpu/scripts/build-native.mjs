// Builds the addon with cmake-js into build/Release/ao_cpu.node. The Node-API headers come from npm (package.json names
// binary.napi_versions), so nothing is downloaded. Arguments go on to cmake-js.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const works = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
const compiler = process.env.CXX ?? ['g++', 'clang++', 'c++'].find(works);
const missing = [
  works('cmake') ? '' : 'cmake (Debian: apt install cmake; 3.21 or newer)',
  compiler !== undefined && works(compiler.split(' ')[0])
    ? ''
    : 'a C++20 compiler (Debian: apt install g++; or set CXX)',
  works('ninja') || works('make') ? '' : 'ninja or make (Debian: apt install ninja-build)',
].filter(Boolean);
if (missing.length > 0) {
  console.error(`The native kernels cannot be built here. Missing: ${missing.join('; ')}.`);
  process.exit(1);
}
const require = createRequire(import.meta.url);
const manifest = require.resolve('cmake-js/package.json');
const bin = fileURLToPath(new URL(require('cmake-js/package.json').bin['cmake-js'], `file://${manifest}`));
const { status } = spawnSync(
  process.execPath,
  [bin, 'compile', '--CDCMAKE_BUILD_TYPE=Release', ...process.argv.slice(2)],
  {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
