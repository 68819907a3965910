// The kernels by themselves, as shares of what the machine can do: kernels/cpu's own benchmark, which prints a line of JSON a
// row, is built when it is missing or old and run.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Form, Measurement, Suite } from '../suite.ts';

const at = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const BUILD = at('build-bench');

/** Of all rows of each program, those with a limit to reach; how much of it, the program says itself. */
const ROWS = {
  bench_gemm_linear: [
    'gemv-bf16-8192',
    'gemv-int8-8192',
    'gemv-int4-8192',
    'gemv-bf16-24-8192',
    'gemv-int8-24-8192',
    'gemm-int8-4096',
    'gemm-f32-4096',
    'gemm-bf16-4096',
  ],
  bench_gemm_block_sparse: ['f32', 'bf16'].flatMap((dtype) => ['1', '512'].map((m) => `blocks-${dtype}-${m}`)),
  bench_ops_sdpa: ['smollm2', '8b'].flatMap((shape) =>
    ['4k', '16k', '32k'].map((keys) => `sdpa-bf16-${shape}-${keys}`),
  ),
};

/** What the benchmark prints; limit and target are absent where the machine lacks the instructions. */
interface Line {
  readonly id: string;
  readonly what: string;
  readonly form?: Form;
  readonly value: number;
  readonly unit: string;
  readonly limit?: string;
  readonly limitValue?: number;
  readonly target?: number;
}

export const suite: Suite = {
  name: 'kernels',
  rows: Object.values(ROWS).flat(),
  async *run({ threads, repeats, wants, log }) {
    for (const [program, ids] of Object.entries(ROWS)) {
      if (!ids.some(wants)) continue;
      log(`building ${program} ...`);
      await output('cmake', ['-S', at('kernels/cpu'), '-B', BUILD, '-DAO_BENCH=ON', '-DAO_TESTS=OFF']);
      await output('cmake', ['--build', BUILD, '--target', program, '-j', String(threads)]);
      for (const id of ids.filter(wants)) {
        // the limits are measured anew for each row, next to it
        const args = ['--json', '--only', id, '--threads', String(threads), '--rounds', String(repeats)];
        yield measurement(await output(join(BUILD, program), args), id);
      }
    }
  },
};

/** The row of that id in what the benchmark printed. */
export function measurement(text: string, id: string): Measurement {
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  const line = lines.map((l) => JSON.parse(l) as Line).find((l) => l.id === id);
  if (line === undefined) throw new Error(`the benchmark printed no ${id}`);
  const { what, form, value, unit, limit: name, limitValue, target } = line;
  return {
    id,
    what,
    unit,
    ...(form === undefined ? {} : { form }),
    ours: value,
    ...(name === undefined || limitValue === undefined ? {} : { limit: { name, value: limitValue } }),
    ...(target === undefined ? {} : { target: { kind: 'share', value: target } }),
  };
}

/** What a command prints. */
function output(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
    }
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command} ${args.join(' ')} ended with code ${code}\n${text}`)),
    );
  });
}
