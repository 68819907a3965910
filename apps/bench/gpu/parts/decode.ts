// Tokens a second of `generate` with one sequence, greedy: after a short prompt and after 8,192 tokens. The first steps, which load kernels and
// capture the graph, are left out.
import type { CausalLM } from '@ao/hf-integration';
import { chosen, modelName, someIds, withLlama } from '../llama.ts';
import type { Part } from '../part.ts';

const SCHEMES = ['bfloat16', 'int8wo', 'int4wo-128', 'float8wo'];
const CONTEXTS = [16, 8192];
const WARM = 16;
const TIMED = Number(process.env['AO_BENCH_STEPS'] ?? 160);

async function tokensPerSecond(model: CausalLM, context: number): Promise<number> {
  let [seen, begin, end] = [0, 0, 0];
  const options = { maxNewTokens: WARM + TIMED, temperature: 0, ignoreEos: true };
  for await (const _ of model.generate(someIds(context), options)) {
    seen++;
    if (seen === WARM) begin = performance.now();
    end = performance.now();
  }
  return ((seen - WARM) / (end - begin)) * 1000;
}

export const decode: Part = {
  name: 'decode',
  async run(_, say) {
    for (const scheme of chosen(SCHEMES))
      await withLlama(scheme, async (model) => {
        for (const context of CONTEXTS)
          say({
            name: `${modelName} decode ${scheme} at ${context} tokens`,
            unit: 'tok/s',
            value: await tokensPerSecond(model, context),
          });
      });
  },
};
