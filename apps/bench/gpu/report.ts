// `pnpm gpu:report [FILE]`: the page of a run on a GPU, packages/kernels-cuda/MEASURED.md. FILE, what `pnpm gpu` wrote, is kept in results/ under
// its GPU's name and date; without one the newest there is read.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ResultRow, TARGETS, type Target } from './targets.ts';

export interface Results {
  /** ISO 8601. */
  readonly date: string;
  /** The CUDA that the driver runs, and that the kernels were built with. */
  readonly driver: string;
  readonly runtime: string;
  readonly devices: readonly { readonly name: string; readonly capability: string; readonly memory: number }[];
  readonly rows: readonly ResultRow[];
}

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const RESULTS = join(root, 'apps/bench/gpu/results');
export const PAGE = join(root, 'packages/kernels-cuda/MEASURED.md');

/** 'nvidia-h200-2026-11-24.json' */
export const fileName = ({ devices, date }: Results): string =>
  `${(devices[0]?.name ?? 'gpu').toLowerCase().replace(/[^a-z0-9]+/g, '-')}-${date.slice(0, 10)}.json`;

const figure = (value: number): string => (Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(4));

function verdict({ figures, least, most, unit, work }: Target, rows: readonly ResultRow[]): string[] {
  const asked = least === undefined ? `at most ${most} ${unit}` : `${least}${unit === 'x' ? 'x' : ''}`;
  const found = [...figures(rows)].sort((a, b) => (least === undefined ? b.value - a.value : a.value - b.value));
  const [worst] = found;
  if (worst === undefined) return [work, asked, '-', 'not measured'];
  const met = least === undefined ? worst.value <= most! : worst.value >= least;
  const last = found.at(-1)!;
  const range = found.length === 1 ? '' : ` to ${last.value.toFixed(2)}${unit === 'x' ? 'x' : ''}`;
  const text =
    unit === 'GB' ? `${worst.value.toFixed(2)} GB` : `${worst.value.toFixed(2)}${unit === 'x' ? 'x' : ''}${range}`;
  return [work, asked, text, met ? 'met' : `MISSED (${worst.of})`];
}

/** Rows of one thing side by side: ours, each peer's, and how many times as fast ours is. */
function comparisons(rows: readonly ResultRow[]): string[][] {
  const things = new Map<string, ResultRow[]>();
  for (const row of rows) {
    if (['passed', 'failed', 'skipped'].includes(row.unit)) continue;
    const key = `${row.part}\0${row.name}\0${row.unit}`;
    things.set(key, [...(things.get(key) ?? []), row]);
  }
  return [...things.values()].map((all) => {
    const own = all.find((r) => r.by === 'ao');
    const peers = all.filter((r) => r.by !== 'ao');
    const { part, name, unit } = all[0]!;
    const rate = unit.endsWith('/s');
    const ratio = own && peers[0] && (rate ? own.value / peers[0].value : peers[0].value / own.value);
    return [
      part,
      name,
      own ? `${figure(own.value)} ${unit}` : '-',
      peers.map((p) => `${figure(p.value)} ${unit} (${p.by})`).join(', ') || '-',
      ratio === undefined ? '-' : `${ratio.toFixed(2)}x`,
    ];
  });
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((c, i) => c.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(head), `| ${widths.map((w) => '-'.repeat(w)).join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** The page of a run. */
export function page(results: Results): string {
  const { devices, date, driver, runtime, rows } = results;
  const gpu = devices[0];
  const checks = rows.filter((r) => r.unit === 'passed' || r.unit === 'failed' || r.unit === 'skipped');
  const counts = [...new Set(checks.map((r) => r.name))].map((name) => {
    const count = (unit: string): string =>
      String(checks.find((r) => r.name === name && r.unit === unit)?.value ?? '-');
    return [name, count('passed'), count('failed'), count('skipped')];
  });
  return `# Measured on a GPU

Written by \`pnpm gpu:report\` from \`apps/bench/gpu/results/${fileName(results)}\`: ${gpu?.name ?? 'no GPU'} (compute capability ${gpu?.capability ?? '-'},
${((gpu?.memory ?? 0) / 1e9).toFixed(0)} GB), a driver of CUDA ${driver}, kernels built with CUDA ${runtime}, ${date.slice(0, 10)}. A test keeps the page current.

## Must reach

Ratios to peers on the same GPU, in the same run unless a row's note says another call (of the same day and kind of machine); of several rows the worst decides.

${table(
  ['work', 'at least', 'measured', ''],
  TARGETS.map((t) => verdict(t, rows)),
)}

## Tests

${table(['tests', 'passed', 'failed', 'skipped'], counts)}

## All figures

The last column: how many times as fast, or as small, ours is as the first peer.

${table(['part', 'what', 'ours', 'peers', ''], comparisons(rows))}
`;
}

/** The newest run that is kept; undefined where there is none. */
export function newest(): Results | undefined {
  const all = readdirSync(RESULTS)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(RESULTS, name), 'utf8')) as Results);
  return all.sort((a, b) => (a.date < b.date ? 1 : -1))[0];
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  mkdirSync(RESULTS, { recursive: true });
  const [file] = process.argv.slice(2);
  const results = file === undefined ? newest() : (JSON.parse(readFileSync(file, 'utf8')) as Results);
  if (results === undefined)
    throw new Error(`there is no run in ${RESULTS}: pnpm gpu results.json, then pnpm gpu:report results.json`);
  const kept = join(RESULTS, fileName(results));
  if (file !== undefined && resolve(file) !== kept) copyFileSync(file, kept);
  writeFileSync(`${PAGE}.new`, page(results));
  renameSync(`${PAGE}.new`, PAGE);
  console.log(`${basename(PAGE)} is that of ${basename(kept)}`);
}
