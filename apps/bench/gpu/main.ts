// `pnpm gpu [FILE] [PART...]` on a machine with a GPU: conformance and speeds, written as JSON with date, driver and GPU. The part `peers` runs
// the scripts of peers/ by python3 where that has torch and sees a GPU.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ao from '@ao/core';
import { cuda, report } from '@ao/kernels-cuda';
import type { Row } from './part.ts';
import { parts } from './parts/index.ts';

const [out = 'gpu.json', ...only] = process.argv.slice(2);
const found = report();
if (found.reason !== '') {
  console.log(`skipped: ${found.reason}`);
  process.exit(77);
}
const known = [...parts.map((part) => part.name), 'peers'];
const unknown = only.find((name) => !known.includes(name.split(':')[0]!));
if (unknown !== undefined) throw new Error(`no part ${unknown}; there are ${known.join(', ')}`);
const wanted = (name: string) => only.length === 0 || only.includes(name);

const rows: (Row & { readonly part: string; readonly by: string })[] = [];
function say(part: string, by: string, row: Row): void {
  rows.push({ part, by, ...row });
  const share = row.bytes === undefined ? '' : `, ${(row.bytes / row.value / 1e3).toFixed(0)} GB/s`;
  console.log(
    `${part}: ${row.name}: ${by} ${row.value.toPrecision(4)} ${row.unit}${share}${row.note === undefined ? '' : `\n${row.note}`}`,
  );
  writeFileSync(out, `${JSON.stringify({ date: new Date().toISOString(), ...found, rows }, null, 1)}\n`);
}

let failed = false;
for (const part of parts) {
  if (!wanted(part.name)) continue;
  const rt = await ao.createRuntime({ use: [cuda(), ...(part.use ?? [])] });
  try {
    await part.run(rt, (row) => {
      failed ||= row.unit === 'failed' && row.value > 0;
      say(part.name, 'ao', row);
    });
  } catch (error) {
    failed = true;
    console.log(`${part.name} FAILED: ${(error as Error).stack}`);
  }
  await rt.close();
}

// A peer prints lines of JSON: rows with `part` and `by`.
const scripts = join(dirname(fileURLToPath(import.meta.url)), 'peers');
for (const script of existsSync(scripts) ? readdirSync(scripts).sort() : []) {
  if (!script.endsWith('.py') || !(wanted('peers') || only.includes(`peers:${script.slice(0, -3)}`))) continue;
  const { stdout } = spawnSync('python3', [join(scripts, script)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
  });
  for (const line of stdout?.split('\n') ?? []) {
    if (!line.startsWith('{')) continue;
    const { part, by, ...row } = JSON.parse(line) as Row & { part: string; by: string };
    say(part, by, row);
  }
}
if (failed) process.exitCode = 1;
