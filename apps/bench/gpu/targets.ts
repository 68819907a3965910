// What the cuda backend must reach on one GPU, and how each figure comes of the rows of one run of `pnpm gpu`: times as theirs / ours, rates
// as ours / theirs, shares of the memory's measured rate. Where a target is of several rows the worst counts.
import type { Row } from './part.ts';

export interface ResultRow extends Row {
  readonly part: string;
  /** 'ao', or a peer with its version. */
  readonly by: string;
}

export interface Figure {
  readonly value: number;
  /** Of which rows. */
  readonly of: string;
}

export interface Target {
  readonly work: string;
  readonly least?: number;
  readonly most?: number;
  readonly unit: 'x' | 'GB' | '';
  /** Nothing where rows are missing. */
  figures(rows: readonly ResultRow[]): readonly Figure[];
}

const ours = (rows: readonly ResultRow[], pattern: RegExp, unit: Row['unit']): ResultRow[] =>
  rows.filter((r) => r.by === 'ao' && r.unit === unit && pattern.test(r.name));
const theirs = (rows: readonly ResultRow[], name: string, unit: Row['unit']): ResultRow[] =>
  rows.filter((r) => r.by !== 'ao' && r.unit === unit && r.name === name);

/** The best of a peer's rows, of several peers the best. */
function best(rows: readonly ResultRow[]): number | undefined {
  if (rows.length === 0) return undefined;
  const values = rows.map((r) => r.value);
  return rows[0]!.unit === 'tok/s' || rows[0]!.unit === 'GB/s' ? Math.max(...values) : Math.min(...values);
}

/** Ours beside the peer's rows that `peer` names, both of `unit`. */
const against =
  (pattern: RegExp, unit: 'us' | 'ms' | 'tok/s', peer: (name: string) => readonly string[] = (name) => [name]) =>
  (rows: readonly ResultRow[]): Figure[] =>
    ours(rows, pattern, unit).flatMap((row) => {
      const found = best(peer(row.name).flatMap((name) => theirs(rows, name, unit)));
      if (found === undefined) return [];
      return [{ value: unit === 'tok/s' ? row.value / found : found / row.value, of: row.name }];
    });

/** Bytes that have to move, over the time, over a rate that the peer measured. */
const share =
  (pattern: RegExp, unit: 'us' | 'ms', rate: 'read' | 'copy') =>
  (rows: readonly ResultRow[]): Figure[] => {
    const limit = best(theirs(rows, rate, 'GB/s'));
    if (limit === undefined) return [];
    const seconds = unit === 'us' ? 1e-6 : 1e-3;
    return ours(rows, pattern, unit).flatMap(({ name, bytes, value }) =>
      bytes === undefined ? [] : [{ value: bytes / (value * seconds) / 1e9 / limit, of: name }],
    );
  };

/** How much less ours of one row is than ours of another. */
const less =
  (row: string, than: string) =>
  (rows: readonly ResultRow[]): Figure[] => {
    const [a, b] = [row, than].map((name) => rows.find((r) => r.by === 'ao' && r.unit === 'GB' && r.name === name));
    return a === undefined || b === undefined ? [] : [{ value: 1 - a.value / b.value, of: a.name }];
  };

const asBfloat16 = (name: string): string[] => [name.replace(/^linear [a-z0-9: ]+ \[/, 'linear bfloat16 [')];
const decode = /^Llama 8B decode int4wo-128 at \d+ tokens$/;
const anyScheme = (name: string): string[] =>
  ['bfloat16', 'int8wo', 'int4wo-128'].map((scheme) => name.replace('int4wo-128', scheme));
const layer = '\\[(?:28672|4096|6144), \\d+\\]$';
const peak = (name: string): string => `${name}: peak of tensors, 1.24 G parameters`;

export const TARGETS: readonly Target[] = [
  ...(['int4', 'int8', 'float8'] as const).map(
    (code): Target => ({
      work: `GEMV of ${code} weights, Llama 8B's layers: share of the memory's read rate`,
      least: 0.75,
      unit: '',
      figures: share(new RegExp(`^linear ${code} \\[1, \\d+\\] x ${layer}`), 'us', 'read'),
    }),
  ),
  {
    work: 'GEMV of int4 weights against torchao',
    least: 2.2,
    unit: 'x',
    figures: against(new RegExp(`^linear int4 \\[1, \\d+\\] x ${layer}`), 'us'),
  },
  ...(['fp6', 'int4 2:4'] as const).map(
    (code): Target => ({
      work: `GEMV of ${code} weights against bfloat16`,
      least: 2,
      unit: 'x',
      figures: against(new RegExp(`^linear ${code} \\[1, \\d+\\] x ${layer}`), 'us', asBfloat16),
    }),
  ),
  {
    work: 'int4 2:4 weights at 64 rows against bfloat16',
    least: 1.5,
    unit: 'x',
    figures: against(new RegExp(`^linear int4 2:4 \\[64, \\d+\\] x ${layer}`), 'us', asBfloat16),
  },
  {
    work: "decode of Llama 8B, int4 in groups of 128, against torch's best of bfloat16, int8wo and int4wo",
    least: 2.2,
    unit: 'x',
    figures: against(decode, 'tok/s', anyScheme),
  },
  {
    work: 'decode of Llama 8B in bfloat16 against torch.compile',
    least: 1.1,
    unit: 'x',
    figures: against(/^Llama 8B decode bfloat16 at \d+ tokens$/, 'tok/s'),
  },
  {
    work: 'prefill of 2,048 tokens, float8 by rows, against torchao compiled',
    least: 1,
    unit: 'x',
    figures: against(/^Llama 8B prefill float8dq_e4m3_row of 2048 tokens$/, 'ms'),
  },
  {
    work: 'int4 weights at 16 to 64 rows against bfloat16 of cuBLASLt',
    least: 2,
    unit: 'x',
    figures: against(new RegExp(`^linear int4 \\[(?:16|32|64), \\d+\\] x ${layer}`), 'us', asBfloat16),
  },
  ...(['tensorwise', 'rowwise'] as const).flatMap((recipe): Target[] => [
    {
      work: `float8 training of four layers, ${recipe}, against torchao compiled`,
      least: 1,
      unit: 'x',
      figures: against(new RegExp(`^training ${recipe}$`), 'tok/s'),
    },
    {
      work: `float8 training of four layers, ${recipe}, against torch in bfloat16`,
      least: recipe === 'tensorwise' ? 1.25 : 1.12,
      unit: 'x',
      figures: against(new RegExp(`^training ${recipe}$`), 'tok/s', () => ['training bfloat16']),
    },
  ]),
  {
    work: "a step of AdamW8bit on 1.07 G parameters: share of the memory's copy rate",
    least: 0.7,
    unit: '',
    figures: share(/^AdamW8bit step, 2\^30 parameters$/, 'ms', 'copy'),
  },
  {
    work: 'prune and compress a weight of 4096 x 14336 to 2:4 against cuSPARSELt',
    least: 5,
    unit: 'x',
    figures: against(/^prune and compress bfloat16 \[4096,\s?14336\]$/, 'us'),
  },
  {
    work: 'peak memory of training a 1 B model with AdamW4bit, less than with AdamW',
    least: 0.3,
    unit: '',
    figures: less(peak('AdamW4bit'), peak('AdamW')),
  },
  {
    work: 'peak memory of training a 1 B model with the state on the host, less than with AdamW',
    least: 0.6,
    unit: '',
    figures: less(peak('AdamW on the host'), peak('AdamW')),
  },
  {
    work: 'int8 cache of 128k tokens, Llama 8B in int4: peak memory',
    most: 18.9,
    unit: 'GB',
    figures: (rows) =>
      ours(rows, /^Llama 8B int4, int8 cache of 1\d{5} tokens: peak$/, 'GB').map((r) => ({
        value: r.value,
        of: r.name,
      })),
  },
];
