// A decoder spread over the GPU and the cpu: the tokens of the cpu alone, in float32 and with int4 weights, and its speed: two of eight layers
// of a small Llama lie on the cpu.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { AutoModelForCausalLM, type CausalLM, type FromPretrainedOptions } from '@ao/hf-integration';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { int4WeightOnly, quantization } from '@ao/quantization';
import type { Part } from '../part.ts';

const TOKENS = 64;
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 512,
  intermediate_size: 1024,
  num_hidden_layers: 8,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 2048,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  rope_theta: 10000.0,
  tie_word_embeddings: true,
};
const PROMPT = Array.from({ length: 40 }, (_, i) => (i * 37) % CONFIG.vocab_size);

export const deviceMaps: Part = {
  name: 'device-map',
  async run(_, say) {
    const folder = mkdtempSync(join(tmpdir(), 'ao-map-'));
    await using rt = await createRuntime({ use: [cuda(), cpu(), quantization(), autograd()] });
    try {
      writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG));
      const made = await AutoModelForCausalLM.fromConfig(folder, { runtime: rt, device: 'cpu', seed: 3 });
      await made.savePretrained(join(folder, 'saved'));
      const ids = async (m: CausalLM) => (await m.generate(PROMPT, { maxNewTokens: TOKENS })).ids;
      for (const [name, quantized] of [
        ['float32', {}],
        ['int4', { quantizationConfig: int4WeightOnly({ groupSize: 32 }) }],
      ] as const) {
        const load = (options: FromPretrainedOptions): Promise<CausalLM> =>
          AutoModelForCausalLM.fromPretrained(join(folder, 'saved'), {
            runtime: rt,
            dtype: 'float32',
            ...quantized,
            ...options,
          });
        const alone = await load({ device: 'cpu' });
        const deviceMap = { '': 'cuda', 'model.layers.3': 'cpu', 'model.layers.7': 'cpu' };
        const spread = await load({ deviceMap });
        const [want, got] = [await ids(alone), await ids(spread)];
        const same = want.filter((id, i) => id === got[i]).length;
        say({ name: `tokens over cuda and cpu, ${name}`, unit: 'passed', value: same });
        say({ name: `tokens over cuda and cpu, ${name}`, unit: 'failed', value: want.length - same });
        const start = performance.now();
        await ids(spread);
        const value = (TOKENS * 1000) / (performance.now() - start);
        say({ name: `decode over cuda and cpu, captured: ${spread.capturable}, ${name}`, unit: 'tok/s', value });
        spread.dispose();
        alone.dispose();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
