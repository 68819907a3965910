// Speculative decoding beside plain decoding of the same tokens in the same process: by prompt lookup, in a text that comes again,
// and by an int4 draft of the same model. A call reads four rows: the last token and three guesses.
import { AutoTokenizer } from '@ao/hf-integration';
import { PEERS } from '../peers/where.ts';
import { BF16, INT4, type Measured, nameOf } from '../schemes.ts';
import { median } from '../statistics.ts';
import type { Suite, SuiteOptions } from '../suite.ts';
import { type Speculate, startOurs, type TextEngine } from '../text-engine.ts';

const WRITE = 64;
const GUESSES = 3;
const PASSAGE =
  'The harbour master keeps a list of every ship that enters the bay. Each morning he writes down the name, the flag, the cargo and ' +
  'the number of sailors. In the evening he reads the list aloud, and the clerk copies it into a large green book with brass corners.';
const AGAIN = `${PASSAGE}\n\n${PASSAGE}\n\n`;
const STORY = 'The old fisherman looked at the dark clouds over the sea and';

interface Kind {
  readonly id: string;
  readonly what: string;
  readonly scheme: Measured;
  readonly prompt: string;
  readonly speculate: Speculate;
  /** Least ratio to plain decoding. */
  readonly target: number;
}

const lookup = (scheme: Measured, target: number): Kind => ({
  id: `lookup-${scheme.id}`,
  what: 'decode by prompt lookup in a text that comes again',
  scheme,
  prompt: AGAIN,
  speculate: { tokens: GUESSES },
  target,
});

const KINDS: readonly Kind[] = [
  lookup(INT4, 1.3),
  lookup(BF16, 1.3),
  {
    id: 'draft-bf16',
    what: 'decode by an int4 draft',
    scheme: BF16,
    prompt: STORY,
    speculate: { tokens: GUESSES, draft: INT4.ours },
    target: 1.1,
  },
];

async function measure(engine: TextEngine, { prompt, speculate }: Kind, { repeats }: SuiteOptions) {
  const runs: { ours: number[]; plain: number[] } = { ours: [], plain: [] };
  const tokenizer = await AutoTokenizer.fromPretrained(PEERS.smollm2);
  const read = tokenizer.encode(prompt);
  let acceptance = 0;
  for (let round = 0; round <= repeats; round++) {
    const plain = await engine.run({ read, write: WRITE });
    const ours = await engine.run({ read, write: WRITE, speculate });
    acceptance = ours.acceptance!;
    if (round === 0) continue;
    runs.plain.push(plain.decode!);
    runs.ours.push(ours.decode!);
  }
  return { runs, acceptance };
}

export const suite: Suite = {
  name: 'speculative',
  rows: KINDS.map(({ id }) => id),
  async *run(options) {
    for (const kind of KINDS) {
      if (!options.wants(kind.id)) continue;
      const { scheme, target } = kind;
      const row = { id: kind.id, what: `${kind.what} ${nameOf(scheme)}`, unit: 'tok/s', form: scheme.form };
      const skipped = options.absent('models');
      if (skipped !== undefined) {
        yield { ...row, skipped };
        continue;
      }
      const engine = await startOurs('ours', scheme.ours, { threads: options.threads, contextSize: 512 });
      try {
        const { runs, acceptance } = await measure(engine, kind, options);
        yield {
          ...row,
          what: `${row.what}, ${Math.round(100 * acceptance)}% accepted`,
          ours: median(runs.ours),
          peer: { name: 'plain decoding', value: median(runs.plain) },
          runs,
          target: { kind: 'ratio', value: target },
        };
      } finally {
        engine.stop();
      }
    }
  },
};
