// What quantize_ did, or would do: one row per weight, each with what it became or why it was left.
export interface QuantizeRow {
  /** Fully qualified name of the parameter; the module's name is this without the last part. */
  readonly fqn: string;
  /** Other names of the same tensor. */
  readonly tied: readonly string[];
  readonly shape: readonly number[];
  readonly dtype: string;
  /** The scheme it has now, or null where it was left. */
  readonly scheme: string | null;
  /** Bits of one code, or of one value where it was left. */
  readonly bits: number;
  /** How the activation is read: 'exact', 'int8-group', 'int8-token', ... */
  readonly activation: string;
  /** Why the arithmetic is emulated in floats; absent where the machine does it. */
  readonly emulated?: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Of bytesAfter, with scales and zero points: what a weight takes where it is now. */
  readonly bitsPerWeight: number;
  /** Of the weight, in decibels; null where it was left or not measured. */
  readonly sqnr: number | null;
  /** The rule that decided; absent for the default. */
  readonly rule?: string;
  /** Why it was left. */
  readonly skipped?: string;
  /** What a reader should know although it was quantized. */
  readonly note?: string;
}

export interface QuantizeReport {
  readonly rows: readonly QuantizeRow[];
  /** All parameters of the model, ties counted once. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Rules that matched nothing. */
  readonly unusedRules: readonly string[];
  /** True where nothing was changed. */
  readonly dryRun: boolean;
}

/** Bits that each of a tensor's values takes. */
export const bitsPerWeight = (bytes: number, shape: readonly number[]): number =>
  (8 * bytes) /
  Math.max(
    1,
    shape.reduce((n, d) => n * d, 1),
  );

const mega = (bytes: number): string => (bytes / 2 ** 20).toFixed(2);

/** What else there is to say of a row: why it was left, or the rule that decided, and whether it is emulated. */
export function noteOf(row: QuantizeRow): string {
  const emulated = row.emulated === undefined ? [] : [`emulated: ${row.emulated}`];
  return [row.skipped ?? row.note ?? row.rule ?? [], emulated].flat().join('; ');
}

/** The report as a table of text, one line per weight and a line of sums. */
export function formatReport(report: QuantizeReport): string {
  const header = [
    'weight',
    'shape',
    'scheme',
    'bits',
    'bits/weight',
    'activation',
    'MiB before',
    'after',
    'SQNR dB',
    'note',
  ];
  const lines = report.rows.map((r) => [
    r.fqn + (r.tied.length > 0 ? ` (= ${r.tied.join(', ')})` : ''),
    r.shape.join('x'),
    r.scheme ?? '-',
    String(r.bits),
    r.bitsPerWeight.toFixed(3),
    r.activation,
    mega(r.bytesBefore),
    mega(r.bytesAfter),
    r.sqnr === null ? '-' : r.sqnr.toFixed(2),
    noteOf(r),
  ]);
  const widths = header.map((h, i) => Math.max(h.length, ...lines.map((l) => (l[i] as string).length)));
  const text = (cells: string[]): string =>
    cells
      .map((c, i) => c.padEnd(widths[i] as number))
      .join('  ')
      .trimEnd();
  const sum = `${report.dryRun ? 'would be' : 'now'} ${mega(report.bytesAfter)} MiB of ${mega(report.bytesBefore)} MiB`;
  const unused = report.unusedRules.map((rule) => `rule '${rule}' matches nothing`);
  return [text(header), ...lines.map(text), sum, ...unused].join('\n');
}
