// hellaswag and wikitext against lm-evaluation-harness 0.4.13 on stories-7m: every log-likelihood and every figure
// (test/fixtures/lm-eval.py made the fixture with pip's lm_eval).
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { Fields } from '../src/config/fields.ts';
import { hellaswag } from '../src/eval/hellaswag.ts';
import { LogLikelihood } from '../src/eval/log-likelihood.ts';
import { documentsOf, evaluateTask } from '../src/eval/tasks.ts';
import { TextLikelihood } from '../src/eval/text-likelihood.ts';
import { detokenized, wikitext } from '../src/eval/wikitext.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { STORIES } from './stories.ts';

const read = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`./fixtures/lm-eval/${file}`, import.meta.url)), 'utf8');

interface Expected {
  readonly figures: Readonly<Record<string, number>>;
  readonly log_likelihoods: readonly (readonly number[])[];
}

const expected = JSON.parse(read('expected.json')) as {
  readonly max_length: Readonly<Record<string, Readonly<Record<string, Expected>>>>;
};
const tasks = { hellaswag, wikitext };

/** Scores as the model does, and keeps them. */
class Kept extends TextLikelihood {
  readonly scores: number[] = [];
  readonly #keep = (score: number): number => {
    this.scores.push(score);
    return score;
  };
  override conditional = async (...args: [string, string]): Promise<number> =>
    this.#keep(await super.conditional(...args));
  override rolling = async (text: string): Promise<number> => this.#keep(await super.rolling(text));
}

let model: CausalLM;
let tokenizer: Tokenizer;
beforeAll(async () => {
  model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime: await autoRuntime(), dtype: 'float32' });
  tokenizer = await AutoTokenizer.fromPretrained(STORIES);
});
afterAll(() => model.rt.close());

describe.each(Object.keys(expected.max_length))('windows of %s tokens', (length) => {
  test.each(['hellaswag', 'wikitext'] as const)('%s', async (name) => {
    const { figures, log_likelihoods: theirs } = expected.max_length[length]![name]!;
    const docs = documentsOf(read(`${name}.jsonl`), name);
    using scorer = await LogLikelihood.of(model);
    const run = tasks[name].start();
    for (const [i, doc] of docs.entries()) {
      const kept = new Kept(scorer, tokenizer, Number(length));
      await run.take(new Fields(doc, name), kept);
      // float32 sums of other orders: a few units of the sum's last places
      for (const [j, score] of kept.scores.entries()) {
        const their = theirs[i]![j]!;
        expect(Math.abs(score - their), `document ${i}, ${j}`).toBeLessThan(1e-5 * Math.abs(their) + 1e-4);
      }
      expect(kept.scores).toHaveLength(theirs[i]!.length);
    }
    expect(Object.keys(run.figures())).toEqual(Object.keys(figures));
    for (const [key, value] of Object.entries(figures)) expect(run.figures()[key]).toBeCloseTo(value, 4);
  });
});

test('evaluateTask gives the figures of all documents, or of the first', async () => {
  const docs = documentsOf(read('hellaswag.jsonl'), 'hellaswag');
  const { figures } = expected.max_length['512']!['hellaswag']!;
  expect(await evaluateTask(model, tokenizer, 'hellaswag', docs)).toEqual({ task: 'hellaswag', documents: 8, figures });
  expect(await evaluateTask(model, tokenizer, 'hellaswag', docs, { limit: 1 })).toMatchObject({ documents: 1 });
});

test('what a document lacks, an unknown task and broken lines are named', async () => {
  const run = (name: string, docs: readonly Record<string, unknown>[], options = {}) =>
    evaluateTask(model, tokenizer, name, docs as never, { where: 'data.jsonl', ...options });
  await expect(run('hella', [{}])).rejects.toThrow(/unknown task 'hella'.*hellaswag, wikitext/);
  await expect(run('wikitext', [{ text: '' }])).rejects.toThrow(/data\.jsonl 1: page is missing/);
  await expect(run('wikitext', [])).rejects.toThrow(/there are no documents.*page/);
  const doc = { activity_label: 'a', ctx_a: 'b', ctx_b: 'c', endings: ['d', 'e'] };
  await expect(run('hellaswag', [{ ...doc, label: '2' }])).rejects.toThrow(/label is "2".*0 to 1/);
  await expect(run('hellaswag', [{ ...doc, label: '' }])).rejects.toThrow(/label/);
  await expect(run('hellaswag', [{ ...doc, endings: 'd', label: 0 }])).rejects.toThrow(/endings/);
  await expect(run('wikitext', [{ page: 'a' }], { maxLength: 513 })).rejects.toThrow(/1 to 512/);
  expect(() => documentsOf('{}\n{', 'data.jsonl')).toThrow(/data\.jsonl:2 is no JSON/);
  expect(() => documentsOf('[]', 'data.jsonl')).toThrow(/data\.jsonl:1 is no object/);
});

test('detokenized is the harness’s, mark by mark', () => {
  expect(detokenized('a @-@ b @,@ c @.@ d : e ; f . g ! h ? i , j')).toBe('a-b,c.d: e; f. g! h? i, j');
  expect(detokenized('( x ) [ y ] { z } " q " = = = = t = = \n \n 20 ° N s \' \'s')).toBe(
    '(x) [y] {z} "q" ==== t ==\n\n20°N s\'\'s',
  );
});
