// pnpm bench [--only NAME] [--threads 2] [--repeats 5] [--out FOLDER]: runs the pairings, prints ratios, writes JSON per commit.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Contender } from './contender.ts';
import { type Interleaved, interleave } from './interleave.ts';
import { missing } from './peers.ts';
import { load } from './statistics.ts';
import { type Entry, PAIRINGS } from './suites/llm.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    threads: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '5' },
    'prompt-tokens': { type: 'string', default: '512' },
    'new-tokens': { type: 'string', default: '64' },
    out: { type: 'string', default: fileURLToPath(new URL('../results', import.meta.url)) },
  },
});

const [threads, repeats] = [Number(values.threads), Number(values.repeats)];
const [promptTokens, newTokens] = [Number(values['prompt-tokens']), Number(values['new-tokens'])];
// ids of a vocabulary of 49,152; speed does not depend on them
const job = { promptIds: Array.from({ length: promptTokens }, (_, i) => 1000 + ((i * 7919) % 40000)), newTokens };
const print = (line = ''): void => void process.stdout.write(`${line}\n`);

async function start(entry: Entry): Promise<Contender | string> {
  const absent = missing(...entry.needs);
  if (absent !== undefined) return absent;
  try {
    const contextSize = promptTokens + newTokens + 8;
    return await Contender.start(entry.name, entry.module, { ...entry.setup, threads, contextSize });
  } catch (error) {
    return (error as Error).message;
  }
}

interface Line {
  readonly ours: string;
  readonly peer: string;
  readonly decodeRatio?: number;
  readonly prefillRatio?: number;
  readonly skipped?: string;
  readonly measured?: Interleaved;
  readonly info?: Readonly<Record<string, unknown>>;
}

async function pair({ ours, peer }: (typeof PAIRINGS)[number]): Promise<Line> {
  const names = { ours: ours.name, peer: peer.name };
  const started: Contender[] = [];
  try {
    for (const entry of [ours, peer]) {
      const contender = await start(entry);
      if (typeof contender === 'string') return { ...names, skipped: `${entry.name}: ${contender}` };
      started.push(contender);
    }
    const measured = await interleave(started, job, repeats);
    const [a, b] = [measured.results[ours.name]!, measured.results[peer.name]!];
    return {
      ...names,
      decodeRatio: a.decodeTokensPerSecond / b.decodeTokensPerSecond,
      prefillRatio: a.prefillTokensPerSecond / b.prefillTokensPerSecond,
      measured,
      info: Object.fromEntries(started.map((c) => [c.name, c.info])),
    };
  } finally {
    for (const contender of started) contender.stop();
  }
}

const lines: Line[] = [];
print(
  `SmolLM2-135M, ${promptTokens} tokens read, ${newTokens} written, ${threads} threads, median of ${repeats}; load ${load().toFixed(2)}`,
);
if (load() > 0.5) print('the machine is busy: ratios hold better than rates');
for (const pairing of PAIRINGS) {
  if (values.only !== undefined && pairing.ours.name !== values.only) continue;
  const line = await pair(pairing);
  lines.push(line);
  if (!line.measured) {
    print(`${line.ours} : ${line.peer}  not run: ${line.skipped}`);
    continue;
  }
  const [a, b] = [line.measured.results[line.ours]!, line.measured.results[line.peer]!];
  const one = (what: string, x: number, y: number): string =>
    `${what} ${x.toFixed(1)} : ${y.toFixed(1)} = ${(x / y).toFixed(2)}x`;
  print(`${line.ours} : ${line.peer}`);
  print(
    `  ${one('decode ', a.decodeTokensPerSecond, b.decodeTokensPerSecond)}   ${one('prefill', a.prefillTokensPerSecond, b.prefillTokensPerSecond)}   load ${line.measured.load[1].toFixed(2)}`,
  );
  const { floor } = pairing;
  if (floor && (line.decodeRatio! < floor.decode || line.prefillRatio! < floor.prefill)) {
    print(`  below the promise of decode ${floor.decode}x, prefill ${floor.prefill}x`);
    process.exitCode = 1;
  }
}

mkdirSync(values.out, { recursive: true });
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const result = {
  commit,
  date: new Date().toISOString(),
  node: process.version,
  cpu: cpus()[0]?.model,
  threads,
  repeats,
  promptTokens,
  newTokens,
  lines,
};
writeFileSync(join(values.out, `${commit}.json`), `${JSON.stringify(result, null, 2)}\n`);
print(`written: results/${commit}.json`);
