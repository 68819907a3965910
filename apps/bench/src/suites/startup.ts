// How long a fresh process takes, files warm: to import a built package, and to write the first token of SmolLM2 int4.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PEERS } from '../peers/where.ts';
import { median } from '../statistics.ts';
import type { Measurement, Suite, SuiteOptions } from '../suite.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../..', import.meta.url));
const here = fileURLToPath(new URL('../..', import.meta.url));
const ao = join(root, 'apps/cli/bin/ao.mjs');
const PACKAGES = ['core', 'quantization', 'kernels-cpu', 'hf-integration'];
const FORMS = {
  esm: (name: string) => ['--input-type=module', '-e', `${timed} await import('@ao/${name}'); ${told}`],
  cjs: (name: string) => ['-e', `${timed} require('@ao/${name}'); ${told}`],
};
const timed = 'const start = performance.now();';
const told = 'process.stdout.write(String(performance.now() - start));';

const importRow = (name: string, form: string): Measurement => ({
  id: `import-${name}-${form}`,
  what: `cold import of @ao/${name} (${form})`,
  unit: 'ms',
  lowerIsBetter: true,
  target: { kind: 'at most', value: 50 },
});
const FIRST: Measurement = {
  id: 'first-token',
  what: 'ao generate, from its start to the first token, SmolLM2 int4',
  unit: 'ms',
  form: 'int8-group',
  lowerIsBetter: true,
  target: { kind: 'at most', value: 400 },
};

const imports = PACKAGES.flatMap((name) =>
  Object.keys(FORMS).map((form) => ({ name, form: form as keyof typeof FORMS })),
);

/** Medians over fresh processes; the first warms the files and does not count. */
async function repeated(repeats: number, once: () => Promise<number>): Promise<number[]> {
  const runs: number[] = [];
  for (let round = 0; round <= repeats; round++) {
    const ms = await once();
    if (round > 0) runs.push(ms);
  }
  return runs;
}

async function importTime(name: string, form: keyof typeof FORMS): Promise<number> {
  const { stdout } = await run(process.execPath, FORMS[form](name), { cwd: here });
  return Number(stdout);
}

/** From the start of the process to the first byte of text. */
function firstToken(folder: string, threads: number): Promise<number> {
  const args = [ao, 'generate', folder, '--prompt', 'Once upon a time', '--max-tokens', '4', '--temperature', '0'];
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let first: number | undefined;
    const env = { ...process.env, AO_CLI: 'dist', AO_NUM_THREADS: String(threads) };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', () => {
      first ??= performance.now() - start;
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      first === undefined ? reject(new Error(`ao ended with code ${code}`)) : resolve(first),
    );
  });
}

async function measureFirstToken({ threads, repeats, absent }: SuiteOptions): Promise<Measurement> {
  const skipped = absent('models');
  if (skipped !== undefined) return { ...FIRST, skipped };
  const folder = await mkdtemp(join(tmpdir(), 'ao-startup-'));
  try {
    const scheme = ['--scheme', 'int4wo-32:int8-group', '--rule', 'lm_head=int8wo:int8-group'];
    const output = join(folder, 'smollm2-int4');
    await run(process.execPath, [ao, 'quantize', PEERS.smollm2, ...scheme, '-o', output]);
    const ours = await repeated(repeats, () => firstToken(output, threads));
    return { ...FIRST, ours: median(ours), runs: { ours } };
  } finally {
    await rm(folder, { recursive: true });
  }
}

export const suite: Suite = {
  name: 'startup',
  rows: [...imports.map(({ name, form }) => importRow(name, form).id), FIRST.id],
  async *run(options) {
    const missing = ['packages/hf-integration/dist/index.js', 'apps/cli/dist/run.js'].some(
      (file) => !existsSync(join(root, file)),
    );
    const skipped = missing ? 'the packages are not built: npm run build' : undefined;
    for (const { name, form } of imports) {
      const row = importRow(name, form);
      if (!options.wants(row.id)) continue;
      if (skipped !== undefined) yield { ...row, skipped };
      else {
        const ours = await repeated(options.repeats, () => importTime(name, form));
        yield { ...row, ours: median(ours), runs: { ours } };
      }
    }
    if (options.wants(FIRST.id)) yield skipped === undefined ? await measureFirstToken(options) : { ...FIRST, skipped };
  },
};
