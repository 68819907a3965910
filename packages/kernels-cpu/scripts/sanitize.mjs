// Builds the addon under sanitizers into build/<name> and runs a stress script on it.
//   node scripts/sanitize.mjs [address,undefined | thread] [script] [arguments]      default: stress/ops.mjs
// Node itself is not instrumented, so the sanitizer's library is loaded before it. Leaks are looked for by the scripts' own
// counts: Node's at exit would drown them.
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const [kinds = 'address,undefined', script = 'stress/ops.mjs', ...rest] = process.argv.slice(2);
const cwd = fileURLToPath(new URL('..', import.meta.url));
const out = `build/${kinds.replace(/\W+/g, '-')}`;
const built = spawnSync(
  'node_modules/.bin/cmake-js',
  ['compile', '--out', out, '-p', process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? '1', '--debug', `--CDAO_SANITIZE=${kinds}`],
  { cwd, stdio: ['ignore', 'ignore', 'inherit'] },
);
if (built.status !== 0) {
  console.error('the sanitized build failed; the messages of the compiler are above');
  process.exit(1);
}
const library = (name) => execFileSync('g++', [`-print-file-name=lib${name}.so`], { encoding: 'utf8' }).trim();
const preload = kinds.split(',').map((kind) => library({ address: 'asan', undefined: 'ubsan', thread: 'tsan' }[kind]));
const ran = spawnSync(process.execPath, ['--conditions=@ao/source', script, ...rest], {
  cwd,
  stdio: 'inherit',
  env: {
    ...process.env,
    LD_PRELOAD: preload.join(' '),
    AO_NATIVE: `${cwd}${out}/Debug/ao_cpu.node`,
    ASAN_OPTIONS: 'detect_leaks=0:strict_string_checks=1',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    TSAN_OPTIONS: 'report_signal_unsafe=0:ignore_noninstrumented_modules=1',
  },
});
process.exit(ran.status ?? 1);
