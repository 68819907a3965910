// A row as a line of text for people.
import type { Row } from './row.ts';
import type { Target } from './suite.ts';

/** Three significant digits, none lost before the point. */
export function number(value: number): string {
  return Math.abs(value) >= 100 || value === 0 ? value.toFixed(0) : value.toPrecision(3);
}

export function target({ kind, value }: Target): string {
  if (kind === 'ratio') return `${value}x`;
  return kind === 'share' ? `${(100 * value).toFixed(0)}%` : `${kind} ${value}`;
}

export function line(row: Row): string {
  const { ours, peer, limit, ratio, share, crossEntropy: nats } = row;
  const parts = [
    `${row.id.padEnd(26)} ${row.what}${row.form === undefined ? '' : ` [${row.form}]`}:`,
    ours === undefined ? '' : `${number(ours)} ${row.unit}`.trim(),
    peer === undefined ? '' : `, ${peer.name} ${number(peer.value)}`,
    ratio === undefined ? '' : ` = ${ratio.toFixed(2)}x`,
    share === undefined ? '' : `, ${(100 * share).toFixed(0)}% of ${limit!.name} ${number(limit!.value)}`,
    row.target === undefined ? '' : `; target ${target(row.target)}${verdict(row.met)}`,
    nats === undefined ? '' : `; cross entropy ${nats.ours.toFixed(4)}`,
    nats?.exact === undefined ? '' : ` (exact ${nats.exact.toFixed(4)})`,
    row.skipped === undefined ? '' : `; not run: ${row.skipped}`,
    row.disturbed ? `; DISTURBED: other work kept ${row.foreign!.toFixed(2)} CPUs busy` : '',
  ];
  return `${parts[0]} ${parts
    .slice(1)
    .join('')
    .replace(/^[,;] /, '')}`;
}

function verdict(met: boolean | undefined): string {
  return met === undefined ? '' : met ? ' met' : ' MISSED';
}
