// A Llama of 60 thousand random weights in a temporary folder: what files, plans and quantizing need, in milliseconds.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bfloat16, encodeArray, planShards, safetensorsIndex, writeSafetensors } from '@ao/core';
import { AutoConfig } from '../src/auto-config.ts';
import { createFile } from '../src/files/node-file.ts';

export interface TinyOptions {
  readonly tied?: boolean;
  readonly biases?: boolean;
  /** The text of config.json, instead of the one made here. */
  readonly config?: string;
  /** Bytes a file; one file unless given. */
  readonly maxShardSize?: number;
}

export interface Tiny {
  readonly folder: string;
  /** An empty folder beside it. */
  readonly scratch: string;
  remove(): Promise<void>;
}

export async function tinyLlama({
  tied = true,
  biases = false,
  maxShardSize = 1e9,
  config: text,
}: TinyOptions = {}): Promise<Tiny> {
  const root = await mkdtemp(join(tmpdir(), 'ao-tiny-'));
  const folder = join(root, 'model');
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    torch_dtype: 'bfloat16',
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 128,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 10000.0,
    attention_bias: biases,
    mlp_bias: biases,
    tie_word_embeddings: tied,
    bos_token_id: 1,
    eos_token_id: 2,
  };
  await (await createFile(join(folder, 'config.json'))).abort();
  await writeFile(join(folder, 'config.json'), text ?? JSON.stringify(config));
  const { outline } = await AutoConfig.fromPretrained(folder);
  const items = outline.parameters.map(({ name, shape }) => ({ name, shape, dtype: 'BF16' }));
  const shards = planShards(items, maxShardSize);
  for (const { file, items: part } of shards) {
    await writeSafetensors(await createFile(join(folder, file)), part, ({ name, begin, end }) => {
      const values = noise(name, (end - begin) / 2).map((x) => (name.includes('norm') ? 1 + x / 8 : x / 4));
      return new Uint8Array(encodeArray(bfloat16, values).buffer);
    });
  }
  if (shards.length > 1) await writeFile(join(folder, 'model.safetensors.index.json'), safetensorsIndex(shards));
  return { folder, scratch: join(root, 'out'), remove: () => rm(root, { recursive: true, force: true }) };
}

/** Numbers in -1 .. 1 that depend on the name. */
export function noise(name: string, n: number): Float32Array {
  let state = [...name].reduce((h, c) => (h * 31 + c.charCodeAt(0)) >>> 0, 7);
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}
