// stories-7m on the native backend against torch: float32 and a scheme of each form, by the method of its reference.json (MEASURED.md has
// the others).
import { parseScheme } from '@ao/quantization';
import { afterAll, describe, expect, test } from 'vitest';
import { probeRuntime } from '../src/auto-runtime.ts';
import { evaluate } from '../src/evaluate.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { AutoTokenizer } from '../src/tokenizer/auto-tokenizer.ts';
import { STORIES, storiesReference, storiesText } from './stories.ts';

const { runtime, findings } = await probeRuntime();
const native = runtime.device !== 'reference';
if (!native)
  console.warn(
    `skipped, too slow without a native backend: ${findings
      .map((f) => f.reason)
      .filter(Boolean)
      .join('; ')}`,
  );
afterAll(() => runtime.close());

const { cross_entropy: torch, greedy } = storiesReference();
const tokenizer = await AutoTokenizer.fromPretrained(STORIES);
const ids = [0, ...tokenizer.encode(storiesText(), { addSpecialTokens: false })];

async function load(scheme?: string): Promise<CausalLM> {
  const options = scheme === undefined ? {} : { quantizationConfig: torchAoConfig(parseScheme(scheme)) };
  return AutoModelForCausalLM.fromPretrained(STORIES, { runtime, dtype: 'float32', ...options });
}

/** Scheme, its name in reference.json, largest distance in nats per token. */
const CASES: readonly (readonly [scheme: string | undefined, key: string, within: number])[] = [
  [undefined, 'float32', 1e-4],
  ['int8wo', 'int8wo', 1e-3],
  ['int8dq', 'int8dq', 1e-3],
  ['int4wo-32', 'int4wo_plain_g32', 1e-3],
  ['intx4-asym-32', 'int4wo_asym_g32', 1e-3],
  ['8da4w-32', '8da4w_g32', 1e-3],
];

describe.skipIf(!native)('stories-7m on the native backend', () => {
  test.each(CASES)('cross entropy of %s is torch’s', async (scheme, key, within) => {
    const model = await load(scheme);
    const { crossEntropy, tokens } = await evaluate(model, ids, { windows: 32 });
    model.dispose();
    expect(tokens).toBe(16384);
    expect(Math.abs(crossEntropy - torch[key]!)).toBeLessThan(within);
  });

  test('integer activations cost less than 0.002 nats', async () => {
    const model = await load('int4wo-32:int8-group');
    const { crossEntropy } = await evaluate(model, ids, { windows: 8 });
    const exact = await load('int4wo-32');
    const without = await evaluate(exact, ids, { windows: 8 });
    for (const m of [model, exact]) m.dispose();
    expect(Math.abs(crossEntropy - without.crossEntropy)).toBeLessThan(0.002);
  });

  test('48 greedy tokens are torch’s', async () => {
    const model = await load();
    const { ids: got } = await model.generate(greedy.prompt, { maxNewTokens: 48, temperature: 0 });
    model.dispose();
    expect(got).toEqual(greedy.tokens);
  });

  test.each(['int8wo', 'int8dq', 'int4wo-32', 'intx4-asym-32', '8da4w-32', 'int4wo-32:int8-group'])(
    '%s: captured steps, eager steps and one prefill agree bit for bit',
    async (scheme) => {
      const model = await load(scheme);
      const eager = await model.generate(greedy.prompt, {
        maxNewTokens: 24,
        cacheImplementation: 'dynamic',
        temperature: 0.9,
        seed: 5,
      });
      const captured = await model.generate(greedy.prompt, { maxNewTokens: 24, temperature: 0.9, seed: 5 });
      expect(captured.ids).toEqual(eager.ids);
      // the text so far as one prompt gives the same next token as step by step
      const greedyRun = await model.generate(greedy.prompt, { maxNewTokens: 16, temperature: 0 });
      const { ids: next } = await model.generate([...greedy.prompt, ...greedyRun.ids.slice(0, 15)], {
        maxNewTokens: 1,
        temperature: 0,
      });
      model.dispose();
      expect(next).toEqual(greedyRun.ids.slice(15));
    },
  );

  test('the event loop stays free while generating', async () => {
    const model = await load('int4wo-32');
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const { ids: got } = await model.generate(greedy.prompt, { maxNewTokens: 64, temperature: 0, ignoreEos: true });
    clearInterval(timer);
    model.dispose();
    expect(got).toHaveLength(64);
    expect(turns).toBeGreaterThan(8);
  });
});
