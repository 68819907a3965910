// The benchmark table of README.md: one line a row that was measured, with machine, commit and versions above it.
import { number, target } from '../print.ts';
import type { Row } from '../row.ts';
import type { Results } from '../run.ts';

const START = '<!-- bench:start -->';
const END = '<!-- bench:end -->';

/** Where, when and with what a run was measured. */
export function machineLine({ machine, commit, date, versions, threads, repeats }: Results): string {
  const told = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return (
    `${machine.cpu}, ${machine.logicalCpus} logical CPUs (${machine.features.join(', ')}), ${machine.memoryGB} GB, ` +
    `${machine.system}; ${threads} threads on both sides; medians of ${repeats} interleaved rounds; commit ` +
    `${commit.id}${commit.dirty ? ' with changes' : ''}, ${date.slice(0, 10)}. ${told.join(', ')}.`
  );
}

export function table(results: Results): string {
  const shown = results.rows.filter((row) => row.ours !== undefined);
  return [
    machineLine(results),
    '',
    ...aligned([
      ['what', 'activations', 'ours', 'against', 'ratio or share', 'target', 'nats per token'],
      ...shown.map(cells),
    ]),
  ].join('\n');
}

/** The text with what stands between the markers replaced. */
export function replaceTable(text: string, content: string): string {
  const [start, end] = [text.indexOf(START), text.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`README.md lacks the markers ${START} ... ${END}`);
  return `${text.slice(0, start + START.length)}\n\n${content}\n\n${text.slice(end)}`;
}

function cells(row: Row): string[] {
  const { ours, peer, limit, ratio, share, crossEntropy: nats, met } = row;
  const against = peer ?? limit;
  const verdict = met === undefined ? '' : met ? '' : ' **missed**';
  return [
    row.what,
    row.form ?? '',
    `${number(ours!)} ${row.unit}`.trim(),
    against === undefined ? '' : `${against.name} ${number(against.value)}`,
    [
      [ratio === undefined ? '' : `${ratio.toFixed(2)}x`, share === undefined ? '' : `${(100 * share).toFixed(0)}%`]
        .filter((text) => text !== '')
        .join(', '),
      row.disturbed ? '(disturbed)' : '',
    ]
      .filter((text) => text !== '')
      .join(' '),
    row.target === undefined ? '' : target(row.target) + verdict,
    nats === undefined ? '' : nats.ours.toFixed(4),
  ];
}

/** A Markdown table whose columns line up. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(rows[0]!), line(widths.map((w) => '-'.repeat(w))), ...rows.slice(1).map(line)];
}
