// packages/quantization/MEASURED.md: perplexity with bits per weight, and speed against bfloat16, of every scheme, as published.
import type { Row } from '../row.ts';
import type { Results } from '../run.ts';
import { aligned, machineLine } from './table.ts';

/** A scheme counts as slower than bfloat16 below this ratio: what the clock cannot tell apart is not told. */
const SLOWER = 0.97;
const MODELS = ['stories-7m', 'SmolLM2-135M'] as const;
const ROWS = [1, 8, 512] as const;

export function schemePage(results: Results): string {
  return [
    '# Schemes: quality and speed',
    '',
    'Made by `pnpm bench schemes --publish` (apps/bench) from what was measured; `src/scheme-list.ts` there has the schemes.',
    '',
    `${machineLine(results)}`,
    '',
    '## Perplexity and bits per weight',
    '',
    'On 16 windows of 512 tokens of the bundled validation text, activations in float32. Every linear and the tied head have the',
    'scheme; bits per weight are those of the files written, headers and unquantized tensors counted. SmolLM2 here comes from a',
    'package that had it in 4 bits: its rows tell that both programs agree, not what a scheme loses.',
    '',
    ...quality(results.rows),
    '',
    '## Speed against bfloat16',
    '',
    'Time of a linear layer [2048, 2048] that no cache holds: bfloat16 over the scheme, measured in turns, so 2.00 is twice as fast.',
    'A scheme that is slower somewhere saves memory there, not time.',
    '',
    ...speed(results.rows),
    '',
  ].join('\n');
}

const schemesOf = (rows: readonly Row[]): string[] => [...new Set(rows.flatMap((r) => r.scheme ?? []))];

function quality(rows: readonly Row[]): string[] {
  const found = rows.filter((r) => r.id.startsWith('perplexity-'));
  const cell = (model: string, scheme: string): string[] => {
    const row = found.find((r) => r.scheme === scheme && r.what.startsWith(`${model} `));
    if (row?.ours === undefined) return ['', ''];
    return [row.ours.toFixed(row.ours < 1000 ? 4 : 0), row.bitsPerWeight!.toFixed(2)];
  };
  return aligned([
    ['scheme', ...MODELS.flatMap((model) => [`${model} perplexity`, 'bits per weight'])],
    ...schemesOf(found).map((scheme) => [scheme, ...MODELS.flatMap((model) => cell(model, scheme))]),
  ]);
}

function speed(rows: readonly Row[]): string[] {
  const found = rows.filter((r) => r.id.startsWith('speed-'));
  const at = (scheme: string, m: number): Row | undefined => found.find((r) => r.id === `speed-${m}-${scheme}`);
  const line = (scheme: string): string[] => {
    const all = ROWS.map((m) => at(scheme, m));
    const slow = ROWS.filter((_, i) => (all[i]?.ratio ?? 1) < SLOWER);
    const where = slow.length === ROWS.length ? '' : ` at ${slow.join(', ')} rows`;
    const note = slow.length === 0 ? '' : `saves memory, not time${where}`;
    const told = [note, ...new Set(all.flatMap((r) => r?.note ?? []))].filter((s) => s !== '').join('; ');
    return [scheme, ...all.map((r) => (r?.ratio === undefined ? '' : `${r.ratio.toFixed(2)}x`)), told];
  };
  return aligned([
    ['scheme', ...ROWS.map((m) => `${m} row${m === 1 ? '' : 's'}`), 'note'],
    ...schemesOf(found).map(line),
  ]);
}
