// The kernels by themselves, as shares of what the machine can do: kernels/cpu's own benchmark, which prints a line of JSON a
// row, is built when it is missing or old and run.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Form, Measurement, Suite } from '../suite.ts';

const at = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const BUILD = at('build-bench');
const PROGRAM = 'bench_gemm_linear';

/** Shares of the limit that each row must reach. */
const TARGETS: Readonly<Record<string, number>> = {
  'gemv-bf16-8192': 0.9,
  'gemv-int8-8192': 0.85,
  'gemv-int4-8192': 0.85,
  'gemm-int8dq-4096': 0.8,
  'gemm-f32-4096': 0.88,
  'gemm-bf16-4096': 0.85,
};

/** What the benchmark prints. */
interface Line {
  readonly id: string;
  readonly what: string;
  readonly form: Form;
  readonly threads: number;
  readonly value: number;
  readonly unit: string;
  readonly limit: string;
  readonly limitValue: number;
  /** Every repeat. */
  readonly runs?: readonly number[];
}

export const suite: Suite = {
  name: 'kernels',
  rows: Object.keys(TARGETS),
  async *run({ threads, wants, log }) {
    log(`building ${PROGRAM} ...`);
    await finished('cmake', ['-S', at('kernels/cpu'), '-B', BUILD, '-DAO_BENCH=ON', '-DAO_TESTS=OFF']);
    await finished('cmake', ['--build', BUILD, '--target', PROGRAM, '-j', String(threads)]);
    for await (const { id, what, form, value, unit, limit, limitValue, runs } of lines(threads)) {
      if (!(id in TARGETS) || !wants(id)) continue;
      yield {
        id,
        what,
        unit,
        form,
        ours: value,
        limit: { name: limit, value: limitValue },
        target: { kind: 'share', value: TARGETS[id]! },
        ...(runs === undefined ? {} : { runs: { ours: runs } }),
      } satisfies Measurement;
    }
  },
};

async function* lines(threads: number): AsyncIterable<Line> {
  const child = spawn(`${BUILD}/${PROGRAM}`, ['--json', String(threads)], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('{')) yield JSON.parse(line);
  } finally {
    child.kill();
  }
}

/** Runs a command whose output matters only when it fails. */
function finished(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} ended with code ${code}\n${output}`)),
    );
  });
}
