// pnpm bench cpu, pnpm bench schemes: runs the suites, tells each row as it comes, and writes the whole run as JSON.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CpuCommand, UsageError } from '../arguments.ts';
import { absent } from '../peers/where.ts';
import { line } from '../print.ts';
import { publish } from '../report/report.ts';
import { run } from '../run.ts';
import type { SuiteOptions } from '../suite.ts';
import { SUITES as CPU_SUITES } from '../suites/index.ts';
import { SCHEME_SUITES } from '../suites/schemes.ts';

const RESULTS = fileURLToPath(new URL('../../results', import.meta.url));

export async function cpu({ name, peers, only, threads, repeats, json, list, out = RESULTS, ...command }: CpuCommand) {
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  const wants = (id: string): boolean => only.test(id);
  const suites = name === 'cpu' ? CPU_SUITES : SCHEME_SUITES;
  const wanted = suites.flatMap((suite) => suite.rows).filter(wants);
  if (list) {
    for (const id of wanted) print(id);
    return;
  }
  if (wanted.length === 0) throw new UsageError(`--only ${only.source} matches no row; --list shows them`);
  const options: SuiteOptions = {
    threads,
    repeats,
    wants,
    absent: (part) => (part === 'models' || peers.includes(part) ? absent(part) : `--peers leaves ${part} out`),
    log: (text) => void process.stderr.write(`${text}\n`),
  };
  const results = await run(suites, options, (row) => json || print(line(row)));
  const text = `${JSON.stringify(results, null, 2)}\n`;
  mkdirSync(out, { recursive: true });
  const file = join(out, `${results.commit.id}${results.commit.dirty ? '-dirty' : ''}.json`);
  writeFileSync(file, text);
  if (command.publish) await publish(results, name);
  if (json) process.stdout.write(text);
  else {
    const count = (met: boolean | undefined): number => results.rows.filter((row) => row.met === met).length;
    print(`${count(true)} targets met, ${count(false)} missed, ${count(undefined)} rows without a verdict; ${file}`);
  }
}
