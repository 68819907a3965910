// Milliseconds to read 2,048 tokens in one eager call: hidden states of all, logits of the last.
import * as ao from '@ao/core';
import type { CausalLM } from '@ao/hf-integration';
import { chosen, modelName, someIds, withLlama } from '../llama.ts';
import type { Part } from '../part.ts';

const SCHEMES = ['bfloat16', 'int4wo-128', 'float8dq_e4m3_row'];
const TOKENS = 2048;
const TURNS = 5;

async function milliseconds(model: CausalLM, rt: ao.Runtime): Promise<number> {
  using ids = ao.tensor(rt, Int32Array.from(someIds(TOKENS)), { shape: [1, TOKENS], dtype: ao.int32 });
  using positions = ao.arange(rt, 0, TOKENS, 1);
  using cache = model.createCache(TOKENS);
  const read = (): void =>
    ao.scope(() => {
      const h = model.hidden(ids, { cache, positions });
      model.head(ao.slice(h, 1, TOKENS - 1, TOKENS));
    });
  const times: number[] = [];
  for (let i = 0; i < TURNS + 2; i++) {
    await rt.backend('cuda').sync();
    const start = performance.now();
    ao.noGrad(read);
    await rt.backend('cuda').sync();
    if (i >= 2) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[TURNS >> 1]!;
}

export const prefill: Part = {
  name: 'prefill',
  async run(_, say) {
    for (const scheme of chosen(SCHEMES))
      await withLlama(scheme, async (model, rt) => {
        const value = await milliseconds(model, rt);
        say({ name: `${modelName} prefill ${scheme} of ${TOKENS} tokens`, unit: 'ms', value });
      });
  },
};
