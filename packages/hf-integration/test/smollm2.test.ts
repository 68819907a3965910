// SmolLM2-135M against torch (packages/testing/golden/model.json): logits, greedy tokens and cross entropy in float32 and the
// stored schemes. The model is optional: it lies under $AO_CACHE (default .cache/ao-peers in the home folder).
import { readFileSync } from 'node:fs';
import { arange, int32, scope, tensor } from '@ao/core';
import { configFromDict } from '@ao/quantization';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../src/evaluate.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { optionalModel } from './optional-model.ts';

interface Prompt {
  readonly ids: readonly number[];
  readonly top_ids: readonly number[];
  readonly top_logits: readonly number[];
  readonly logit_noise: number;
  readonly greedy_ids: readonly number[];
  readonly greedy_margin: readonly number[];
}

interface Golden {
  readonly text_ids: readonly number[];
  readonly schemes: Readonly<
    Record<
      string,
      {
        readonly config: unknown;
        readonly prompts: readonly Prompt[];
        readonly cross_entropy: number;
        readonly cross_entropy_noise: number;
      }
    >
  >;
}

const { folder, runtime, reason } = await optionalModel('smollm2');

const golden = JSON.parse(readFileSync(new URL('../../testing/golden/model.json', import.meta.url), 'utf8')) as Golden;

async function lastLogits(model: CausalLM, ids: readonly number[]): Promise<Float32Array> {
  using cache = model.createCache(ids.length);
  const all = scope(() =>
    model.call(tensor(runtime, [[...ids]], { dtype: int32 }), { cache, positions: arange(runtime, 0, ids.length) }),
  );
  const values = (await all.data()).slice(-model.vocabSize) as Float32Array;
  all.dispose();
  return values;
}

describe.skipIf(reason !== undefined)('SmolLM2-135M', () => {
  test.each(Object.entries(golden.schemes))(
    '%s',
    async (name, { config, prompts, cross_entropy: torch, cross_entropy_noise: noise }) => {
      const options = config === null ? {} : { quantizationConfig: torchAoConfig(configFromDict(config)) };
      const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', ...options });
      try {
        for (const { ids, top_ids, top_logits, logit_noise, greedy_ids, greedy_margin } of prompts) {
          const logits = await lastLogits(model, ids);
          const within = config === null ? 1e-3 : Math.max(1e-3, 4 * logit_noise);
          for (const [i, id] of top_ids.entries()) expect(Math.abs(logits[id]! - top_logits[i]!)).toBeLessThan(within);
          const run = await model.generate(ids, { maxNewTokens: greedy_ids.length, temperature: 0, ignoreEos: true });
          // a choice by less than the noise may fall otherwise, and all after it differ
          const weak = greedy_margin.findIndex((margin) => margin < 2 * logit_noise);
          const certain = weak < 0 ? greedy_ids.length : weak;
          expect(run.ids.slice(0, certain)).toEqual(greedy_ids.slice(0, certain));
        }
        const { crossEntropy } = await evaluate(model, golden.text_ids, { window: golden.text_ids.length - 1 });
        expect(Math.abs(crossEntropy - torch)).toBeLessThan(name === 'fp32' ? 1e-4 : 0.003 + 2 * noise);
      } finally {
        model.dispose();
      }
    },
  );
});
