// Penalties, bias and min-p against the numbers of transformers (golden/make-sampling.py), on both backends.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRuntime, int32, type LogitOptions, processLogits_, type Runtime, sample_, tensor } from '@ao/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { GenerateInput } from '../src/generate/generate.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { STORIES } from './stories.ts';

type Options = Readonly<Record<string, number | Readonly<Record<number, number>>>>;
interface Golden {
  readonly scores: readonly number[][];
  readonly ids: readonly number[][];
  readonly prompt: number;
  readonly eos: number;
  readonly processed: readonly {
    readonly name: string;
    readonly options: Options;
    readonly scores: readonly (readonly (number | null)[])[];
  }[];
  readonly warped: readonly { readonly options: Options; readonly probabilities: readonly number[][] }[];
  readonly greedy: readonly {
    readonly options: Options;
    readonly prompt: readonly number[];
    readonly tokens: readonly number[];
    readonly logprobs: readonly [chosen: number, ids: readonly number[], values: readonly number[]][];
  }[];
}
const golden = JSON.parse(
  readFileSync(fileURLToPath(new URL('./golden/sampling.json', import.meta.url)), 'utf8'),
) as Golden;
const V = golden.scores[0]!.length;

const logitOptions = (o: Options): LogitOptions => ({
  repetitionPenalty: (o['repetition_penalty'] as number) ?? 1,
  frequencyPenalty: (o['frequency'] as number) ?? 0,
  presencePenalty: (o['presence'] as number) ?? 0,
  noRepeatNgramSize: (o['no_repeat_ngram_size'] as number) ?? 0,
  minNewTokens: (o['min_new_tokens'] as number) ?? 0,
});

describe.each(['reference', 'auto'] as const)('logits as transformers processes them, %s backend', (name) => {
  let rt: Runtime;
  let device: string;
  beforeAll(async () => {
    rt = name === 'auto' ? await autoRuntime() : await createRuntime();
    device = rt.device;
  });
  afterAll(() => rt.close());

  test.each(golden.processed)('$name', async ({ options, scores }) => {
    const ints = (values: Int32Array | number[][]) => tensor(rt, values, { dtype: int32, device });
    const bias = new Float32Array(V);
    for (const [id, value] of Object.entries(options['sequence_bias'] ?? {})) bias[Number(id)] = value as number;
    // the last id arrives as the token that was chosen
    const length = golden.ids[0]!.length;
    const out = processLogits_(
      tensor(rt, golden.scores, { device }),
      {
        history: ints(golden.ids.map((row) => [...row.slice(0, -1), 0, 0])),
        lengths: ints(golden.ids.map(() => [golden.prompt, length - 1])),
        token: ints(Int32Array.from(golden.ids, (row) => row.at(-1)!)),
        bias: options['sequence_bias'] === undefined ? undefined : tensor(rt, bias, { device }),
        ends: ints(Int32Array.of(golden.eos)),
      },
      logitOptions(options),
    );
    const got = Array.from((await out.data()) as Float32Array);
    const want = scores.flat().map((x) => Math.fround(x ?? Number.NEGATIVE_INFINITY));
    expect(got.map((x, i) => (Object.is(x, want[i]) ? 0 : Math.abs(x - want[i]!) / Math.abs(want[i]!)))).toSatisfy(
      (off: number[]) => off.every((o) => o <= 2 ** -22),
    );
  });

  test.each(golden.warped)('draws follow $options', async ({ options, probabilities }) => {
    const draws = 3000;
    for (const [r, p] of probabilities.entries()) {
      const rows = Array.from({ length: draws }, () => golden.scores[r]!);
      const states = Array.from({ length: draws }, (_, i) => [17 * r + 3, i]);
      const token = tensor(rt, new Int32Array(draws), { dtype: int32, device });
      sample_(token, tensor(rt, rows, { device }), tensor(rt, states, { dtype: int32, device }), {
        temperature: options['temperature'] as number,
        topK: (options['top_k'] as number) ?? 0,
        topP: (options['top_p'] as number) ?? 1,
        minP: options['min_p'] as number,
      });
      const seen = new Int32Array(V);
      for (const id of (await token.data()) as Int32Array) seen[id]!++;
      let chi = 0;
      let cells = -1;
      for (const [id, q] of p.entries()) {
        if (q === 0) expect(seen[id], `id ${id} was dropped`).toBe(0);
        else {
          chi += (seen[id]! - draws * q) ** 2 / (draws * q);
          cells += 1;
        }
      }
      expect(chi).toBeLessThan(cells + 5 * Math.sqrt(2 * cells) + 5);
    }
  });
});

describe('generate with penalties', () => {
  let model: CausalLM;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.fromPretrained(STORIES, { runtime: await autoRuntime(), dtype: 'float32' });
  });
  afterAll(() => model.rt.close());

  const input = (o: Options): GenerateInput => ({
    ...logitOptions(o),
    logitBias: (o['sequence_bias'] as Record<number, number>) ?? {},
    maxNewTokens: 32,
  });

  test.each(golden.greedy)('greedy tokens and log-probabilities are those of transformers: $options', async (g) => {
    const result = await model.generate(g.prompt, { ...input(g.options), logprobs: 3 });
    expect(result.ids).toEqual(g.tokens);
    for (const [i, [chosen, ids, values]] of g.logprobs.entries()) {
      const { id, logprob, top } = result.logprobs![i]!;
      expect(id).toBe(g.tokens[i]);
      expect(Math.abs(logprob - chosen)).toBeLessThan(1e-4);
      expect(top.map((t) => t.id)).toEqual(ids);
      for (const [k, t] of top.entries()) expect(Math.abs(t.logprob - values[k]!)).toBeLessThan(1e-4);
    }
  });

  test('eager steps and a batch give the same', async () => {
    const { options } = golden.greedy.at(-1)!;
    const cases = golden.greedy.filter(
      (g) => g.options === options || JSON.stringify(g.options) === JSON.stringify(options),
    );
    const prompts = cases.map((g) => g.prompt);
    for (const cacheImplementation of ['static', 'dynamic'] as const) {
      const results = await model.generate(prompts, { ...input(options), cacheImplementation });
      expect(results.map((r) => r.ids)).toEqual(cases.map((g) => g.tokens));
    }
  });

  test('minNewTokens keeps an end id away until then, in each sequence of a batch', async () => {
    const [{ prompt, tokens }] = golden.greedy as [Golden['greedy'][number]];
    const eosTokenId = tokens[3]!;
    const free = await model.generate(prompt, { eosTokenId, maxNewTokens: 32 });
    expect(free.ids).toEqual(tokens.slice(0, 4));
    const others = await model.generate([prompt, [5, 6]], { eosTokenId, maxNewTokens: 32, minNewTokens: 20 });
    for (const { ids } of others) {
      expect(ids.length).toBeGreaterThanOrEqual(20);
      expect(ids.slice(0, 19)).not.toContain(eosTokenId);
    }
  });

  test('logitBias forces and forbids', async () => {
    const { prompt } = golden.greedy[0]!;
    const forced = await model.generate(prompt, { logitBias: { 77: 1000 }, maxNewTokens: 3 });
    expect(forced.ids).toEqual([77, 77, 77]);
    const plain = await model.generate(prompt, { maxNewTokens: 3 });
    const without = await model.generate(prompt, { logitBias: { [plain.ids[0]!]: -Infinity }, maxNewTokens: 3 });
    expect(without.ids).not.toContain(plain.ids[0]);
  });

  test('several sequences of a prompt are those that its seeds give', async () => {
    const options = { temperature: 1.2, minP: 0.02, maxNewTokens: 8, presencePenalty: 0.4 };
    const prompts = [golden.greedy[0]!.prompt, golden.greedy[1]!.prompt];
    const all = await model.generate(prompts, { ...options, seed: 40, numReturnSequences: 3 });
    expect(all.map((r) => r.promptIds)).toEqual([0, 0, 0, 1, 1, 1].map((i) => prompts[i]));
    for (const [i, { ids, promptIds }] of all.entries())
      expect((await model.generate(promptIds, { ...options, seed: 40 + i })).ids).toEqual(ids);
    expect(new Set(all.slice(0, 3).map((r) => r.ids.join())).size).toBe(3);
    const one = await model.generate(prompts[0]!, { ...options, seed: 40, numReturnSequences: 1 });
    expect(one.map((r) => r.ids)).toEqual([all[0]!.ids]);
  });

  test('the reference backend draws the same', async () => {
    const reference = await AutoModelForCausalLM.fromPretrained(STORIES, {
      runtime: await createRuntime(),
      dtype: 'float32',
    });
    const options: GenerateInput = {
      temperature: 1.1,
      minP: 0.05,
      repetitionPenalty: 1.2,
      frequencyPenalty: 0.2,
      noRepeatNgramSize: 3,
      logitBias: { 14: 1.5 },
      maxNewTokens: 10,
      seed: 9,
      numReturnSequences: 2,
    };
    const [a, b] = [await model.generate([5, 6, 7], options), await reference.generate([5, 6, 7], options)];
    expect((a as unknown as { ids: number[] }[]).map((r) => r.ids)).toEqual(
      (b as unknown as { ids: number[] }[]).map((r) => r.ids),
    );
    await reference.rt.close();
  });

  test('wrong options are refused by name, before any work', () => {
    const refused: [GenerateInput, RegExp][] = [
      [{ minP: 2 }, /minP is 2/],
      [{ repetitionPenalty: 0 }, /repetitionPenalty is 0/],
      [{ presencePenalty: Number.NaN }, /presencePenalty is NaN/],
      [{ frequencyPenalty: Infinity }, /frequencyPenalty is Infinity/],
      [{ noRepeatNgramSize: 1.5 }, /noRepeatNgramSize is 1.5/],
      [{ minNewTokens: -1 }, /minNewTokens is -1/],
      [{ logitBias: { 4096: 1 } }, /logitBias is 4096; it must be below the vocabulary's 4096/],
      [{ logitBias: { x: 1 } as never }, /logitBias is NaN/],
      [{ logprobs: 5000 }, /logprobs is 5000/],
      [{ numReturnSequences: 2, temperature: 0 }, /numReturnSequences is 2; it must be 1 without sampling/],
      [{ responseFormat: { type: 'xml' } as never }, /responseFormat is {"type":"xml"}/],
      [{ responseFormat: { type: 'json_object' } }, /responseFormat without a tokenizer/],
    ];
    for (const [options, message] of refused) expect(() => model.generate([1, 2], options)).toThrow(message);
  });
});
