// Runs the stream under sanitizers.
//   node scripts/sanitize.mjs [address,undefined] [script] [arguments]    the addon, in build/<kinds>; default: stress/ops.mjs
//   node scripts/sanitize.mjs thread                                      the stream without Node: stress/stream.cc
// Node itself is not instrumented, so the sanitizer's library is loaded before it. Leaks are looked for by the scripts' own
// counts: Node's at exit would drown them.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [kinds = 'address,undefined', script = 'stress/ops.mjs', ...rest] = process.argv.slice(2);
const cwd = fileURLToPath(new URL('..', import.meta.url));
const out = `build/${kinds.replace(/\W+/g, '-')}`;

function run(command, args, options = {}) {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit', ...options });
  if (status !== 0) process.exit(status ?? 1);
}

if (kinds === 'thread') {
  mkdirSync(`${cwd}${out}`, { recursive: true });
  const sources = ['stress/stream.cc', ...['stream', 'commands', 'arena'].map((name) => `binding/${name}.cc`)];
  const flags = ['-std=c++20', '-g', '-O1', '-fsanitize=thread', '-I../../kernels/cpu/include', '-pthread'];
  run(process.env.CXX ?? 'g++', [...flags, ...sources, '-o', `${out}/stream`]);
  // without address space randomization, which older ThreadSanitizers cannot place their shadow memory in
  run('setarch', ['-R', `${out}/stream`], { env: { ...process.env, TSAN_OPTIONS: 'halt_on_error=1' } });
  process.exit(0);
}
const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? '1';
run('node_modules/.bin/cmake-js', ['compile', '--out', out, '-p', jobs, '--debug', `--CDAO_SANITIZE=${kinds}`], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
const library = (name) => execFileSync('g++', [`-print-file-name=lib${name}.so`], { encoding: 'utf8' }).trim();
const preload = kinds.split(',').map((kind) => library({ address: 'asan', undefined: 'ubsan' }[kind]));
run(process.execPath, ['--conditions=@ao/source', script, ...rest], {
  env: {
    ...process.env,
    LD_PRELOAD: preload.join(' '),
    AO_NATIVE: `${cwd}${out}/Debug/ao_cpu.node`,
    ASAN_OPTIONS: 'detect_leaks=0:strict_string_checks=1',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  },
});
