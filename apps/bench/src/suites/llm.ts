// SmolLM2-135M reads 512 tokens and writes 64, beside llama.cpp on the same weights. The GGUFs keep the tied embedding and
// head in 8 bits beside 4-bit and 8-bit layers: ours do the same, by a rule.
import { fileURLToPath } from 'node:url';
import { interleave } from '../interleave.ts';
import { PEERS } from '../peers/where.ts';
import { median } from '../statistics.ts';
import type { Form, Measurement, Suite, SuiteOptions, Target } from '../suite.ts';
import {
  promptOf,
  type Quantized,
  type Room,
  startLlama,
  startOurs,
  type TextEngine,
  type TextResult,
} from '../text-engine.ts';

const READ = 512;
const WRITE = 64;
const TEXT = fileURLToPath(new URL('../../../stories-7m/validation.txt', import.meta.url));
/** Of 512 tokens. */
const WINDOWS = 4;
/** Most nats per token that integer activations may cost. */
const QUALITY: Target = { kind: 'at most', value: 0.003 };

interface Pair {
  readonly id: string;
  readonly ours: Quantized;
  readonly form: Form;
  /** The same weights with exact activations. */
  readonly exact?: Quantized;
  readonly peer: string;
  readonly file: string;
  readonly decode?: number;
  readonly prefill?: number;
}

const q4 = { peer: 'llama.cpp Q4_0', file: PEERS.smollm2Q4 };
const q8 = { peer: 'llama.cpp Q8_0', file: PEERS.smollm2Q8 };
const scheme = (layers: string, head = layers): Quantized => ({ scheme: layers, rules: [`lm_head=${head}`] });

const PAIRS: readonly Pair[] = [
  {
    id: 'int4',
    ours: scheme('int4wo-32:int8-group', 'int8wo:int8-group'),
    form: 'int8-group',
    exact: scheme('int4wo-32', 'int8wo'),
    ...q4,
    decode: 2,
    prefill: 1.4,
  },
  { id: 'int4-exact', ours: scheme('int4wo-32', 'int8wo'), form: 'exact', ...q4 },
  {
    id: '8da4w',
    ours: scheme('8da4w-32', 'int8dq'),
    form: 'int8-token',
    exact: scheme('intx4-32', 'int8wo'),
    ...q4,
  },
  {
    id: 'int8',
    ours: scheme('int8wo-32:int8-group'),
    form: 'int8-group',
    exact: scheme('int8wo-32'),
    ...q8,
    decode: 1.5,
  },
  { id: 'int8dq', ours: scheme('int8dq'), form: 'int8-token', exact: scheme('int8wo'), ...q8 },
  { id: 'bf16', ours: {}, form: 'exact', peer: 'llama.cpp BF16', file: PEERS.smollm2BF16, decode: 1.3 },
];

const kinds = ({ exact }: Pair): readonly string[] => [
  'decode',
  'prefill',
  ...(exact === undefined ? [] : ['quality']),
];

async function* run(options: SuiteOptions): AsyncIterable<Measurement> {
  const exactly = new Map<string, number>();
  for (const pair of PAIRS) {
    if (kinds(pair).some((kind) => options.wants(`${kind}-${pair.id}`))) yield* measure(pair, options, exactly);
  }
}

/** `exactly` keeps cross entropies that several pairs ask for. */
async function* measure(pair: Pair, options: SuiteOptions, exactly: Map<string, number>): AsyncIterable<Measurement> {
  const { id, ours, form, exact, peer } = pair;
  const name = ours.scheme ?? 'bfloat16';
  const rows = {
    decode: { id: `decode-${id}`, what: `decode SmolLM2-135M ${name}`, unit: 'tok/s', form },
    prefill: { id: `prefill-${id}`, what: `prefill ${READ} SmolLM2-135M ${name}`, unit: 'tok/s', form },
    quality: { id: `quality-${id}`, what: `cross entropy of ${name} over exact activations`, unit: 'nats', form },
  };
  const wanted = Object.values(rows).filter((row) => kinds(pair).some((k) => row.id === `${k}-${id}`));
  const mine = wanted.filter((row) => options.wants(row.id));
  const models = options.absent('models');
  if (models !== undefined) {
    yield* mine.map((row) => ({ ...row, skipped: models }));
    return;
  }
  const skipped = options.absent('llama');
  const room = { threads: options.threads, contextSize: READ + WRITE + 8 };
  const engines: TextEngine[] = [];
  try {
    engines.push(await startOurs('ours', ours, room));
    const nats = {
      ours: await crossEntropy(engines[0]!),
      ...(exact && { exact: await exactOf(exact, room, exactly) }),
    };
    if (skipped === undefined) engines.push(await startLlama(peer, pair.file, room));
    if (mine.some((row) => row !== rows.quality)) {
      const results = await interleave(engines, { read: promptOf(READ), write: WRITE }, options.repeats);
      for (const kind of ['decode', 'prefill'] as const) {
        if (!options.wants(rows[kind].id)) continue;
        const value = pair[kind];
        yield {
          ...rows[kind],
          ...compare(results, kind),
          ...(value === undefined ? {} : { target: { kind: 'ratio', value } }),
          ...(skipped === undefined ? {} : { skipped }),
          crossEntropy: nats,
        };
      }
    }
    if (nats.exact !== undefined && options.wants(rows.quality.id))
      yield { ...rows.quality, ours: nats.ours - nats.exact, target: QUALITY, crossEntropy: nats };
  } finally {
    for (const engine of engines) engine.stop();
  }
}

/** Medians and runs of two engines, the first of them ours. */
export function compare(
  results: Readonly<Record<string, readonly TextResult[]>>,
  kind: 'decode' | 'prefill',
): Pick<Measurement, 'ours' | 'peer' | 'runs'> {
  const runs = Object.fromEntries(Object.entries(results).map(([name, list]) => [name, list.map((r) => r[kind]!)]));
  const [ours = [], peer] = Object.values(runs);
  const name = Object.keys(runs)[1];
  return {
    ours: median(ours),
    ...(peer === undefined || name === undefined ? {} : { peer: { name, value: median(peer) } }),
    runs,
  };
}

async function crossEntropy(engine: TextEngine): Promise<number> {
  return (await engine.run({ evaluate: TEXT, windows: WINDOWS })).crossEntropy!;
}

async function exactOf(quantized: Quantized, room: Room, known: Map<string, number>): Promise<number> {
  const key = JSON.stringify(quantized);
  const before = known.get(key);
  if (before !== undefined) return before;
  const engine = await startOurs('exact', quantized, room);
  try {
    const nats = await crossEntropy(engine);
    known.set(key, nats);
    return nats;
  } finally {
    engine.stop();
  }
}

export const suite: Suite = {
  name: 'llm',
  rows: PAIRS.flatMap((pair) => kinds(pair).map((k) => `${k}-${pair.id}`)),
  run,
};
