// SmolLM2-135M reads 512 tokens and writes 64, beside llama.cpp on the same weights; and what integer activations cost in nats.
import { duel } from '../duel.ts';
import { quality } from '../quality.ts';
import { BF16, DA4W, INT4, INT4_EXACT, INT8, INT8DQ, type Measured, nameOf } from '../schemes.ts';
import type { Measurement, Suite, SuiteOptions } from '../suite.ts';
import { promptOf, startLlama, startOurs } from '../text-engine.ts';

const READ = 512;
const WRITE = 64;
/** Most nats per token that integer activations may cost a weight-only scheme; with int8 by token they are the scheme itself. */
const QUALITY = 0.003;

interface Pair extends Measured {
  /** Least ratios to the peer. */
  readonly decode?: number;
  readonly prefill?: number;
}

const PAIRS: readonly Pair[] = [
  { ...INT4, decode: 2, prefill: 1.4 },
  INT4_EXACT,
  DA4W,
  { ...INT8, decode: 1.5 },
  INT8DQ,
  { ...BF16, decode: 1.3 },
];

async function* run(options: SuiteOptions): AsyncIterable<Measurement> {
  for (const pair of PAIRS) if (rows(pair).some(options.wants)) yield* measure(pair, options);
}

function rows({ id, exact }: Pair): string[] {
  return [`decode-${id}`, `prefill-${id}`, ...(exact === undefined ? [] : [`quality-${id}`])];
}

async function* measure(pair: Pair, options: SuiteOptions): AsyncIterable<Measurement> {
  const { id, ours, exact, form, peer, file } = pair;
  const room = { threads: options.threads, contextSize: READ + WRITE + 8 };
  const nats = await quality(options, room, ours, { exact });
  const head = (kind: 'decode' | 'prefill', what: string) => ({
    kind,
    id: `${kind}-${id}`,
    what: `${what} SmolLM2-135M ${nameOf(pair)}`,
    form,
    ...(pair[kind] === undefined ? {} : { target: { kind: 'ratio', value: pair[kind] } as const }),
    ...nats,
  });
  yield* duel(
    [head('decode', 'decode'), head('prefill', `prefill ${READ}`)],
    {
      ours: () => startOurs('ours', ours, room),
      peer: 'llama',
      theirs: () => startLlama(peer, file, room),
      job: { read: promptOf(READ), write: WRITE },
    },
    options,
  );
  if (exact === undefined || !options.wants(`quality-${id}`)) return;
  yield {
    id: `quality-${id}`,
    what: `cross entropy of ${nameOf(pair)} over exact activations`,
    unit: 'nats',
    form,
    ...(form === 'int8-group' ? { target: { kind: 'at most', value: QUALITY } as const } : {}),
    ...nats,
    ...(nats.crossEntropy?.exact === undefined
      ? { skipped: options.absent('models')! }
      : { ours: nats.crossEntropy.ours - nats.crossEntropy.exact }),
  };
}

export const suite: Suite = { name: 'llm', rows: PAIRS.flatMap(rows), run };
