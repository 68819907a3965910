// A suite: one file in suites/ that measures some rows, each against a peer, against a limit of the machine, or by itself.
// It yields medians and every run; row.ts derives ratio, share and verdict from them, the same for all suites.

export type PeerName = 'llama' | 'ort' | 'torchao';

/** How activations reach the kernel: as floats, bfloat16, int8 in the weight's groups, int8 with a scale a token. */
export type Form = 'exact' | 'bfloat16 pairs' | 'int8-group' | 'int8-token';

/** What a row promises. `ratio`: ours over the peer, `share`: ours over the limit; the others bound ours itself. */
export interface Target {
  readonly kind: 'ratio' | 'share' | 'at most' | 'at least';
  readonly value: number;
}

export interface Measurement {
  /** Unique over all suites, lower case with dashes: decode-int4. `--only` matches it. */
  readonly id: string;
  readonly what: string;
  readonly unit: string;
  readonly form?: Form;
  /** Of scheme-list.ts, where the row is about one. */
  readonly scheme?: string;
  /** Of the files that were written. */
  readonly bitsPerWeight?: number;
  /** What a reader of the row must know. */
  readonly note?: string;
  /** The median. Absent where nothing was measured; then `skipped` says why. */
  readonly ours?: number;
  readonly peer?: { readonly name: string; readonly value: number };
  /** What the machine can do at most, measured in the same run, in the row's unit. */
  readonly limit?: { readonly name: string; readonly value: number };
  /** Times and bytes: the ratio is then peer / ours, so that above 1 is better everywhere. */
  readonly lowerIsBetter?: boolean;
  readonly target?: Target;
  /** Nats per token on the evaluation text, of what ran and of the same weights with exact activations. */
  readonly crossEntropy?: { readonly ours: number; readonly exact?: number };
  /** Every counted run: { ours: [...], 'llama.cpp Q4_0': [...] }. */
  readonly runs?: Readonly<Record<string, readonly number[]>>;
  /** Why ours or the peer is missing, with the command that mends it. */
  readonly skipped?: string;
}

export interface SuiteOptions {
  /** CPU threads, the same for both sides. */
  readonly threads: number;
  /** Counted rounds after one that warms up. */
  readonly repeats: number;
  /** Whether `--only` asks for this row; a suite that measures several rows at once asks for each. */
  wants(id: string): boolean;
  /** Why this peer cannot run (not asked for, not installed, with the command that installs it); undefined when it can. */
  absent(peer: PeerName | 'models'): string | undefined;
  /** A line for people about what is going on, to stderr. */
  log(line: string): void;
}

export interface Suite {
  readonly name: string;
  /** Ids of the rows it may yield, so that `--only` can leave the whole suite out and `--list` can show them. */
  readonly rows: readonly string[];
  run(options: SuiteOptions): AsyncIterable<Measurement>;
}
