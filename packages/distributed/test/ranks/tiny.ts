// A Llama of two layers with random weights, batches of ids that follow a rule, and steps of training on this rank's rows of them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Runtime } from '@ao/core';
import { trainableParameters } from '@ao/core/autograd';
import { AutoModelForCausalLM, type CausalLM } from '@ao/hf-integration';
import { type TrainModel, trainStep } from '@ao/train';
import { allReduce_, clipGradNorm_, type ProcessGroup } from '../../src/index.ts';

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 97,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  initializer_range: 0.05,
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 0,
};

export async function tiny(rt: Runtime, dtype: string, more: object = {}): Promise<CausalLM> {
  const folder = await mkdtemp(join(tmpdir(), 'ao-distributed-'));
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, ...more }));
  const model = await AutoModelForCausalLM.fromConfig(folder, { runtime: rt, dtype, seed: 3 });
  await rm(folder, { recursive: true });
  return model;
}

const ROWS = 4;
const TOKENS = 16;

/** Rows of batch `step`, those of one rank where a group is given. */
function batch(step: number, group: ProcessGroup | undefined): { ids: Int32Array; targets: Int32Array; rows: number } {
  const { rank, size } = group ?? { rank: 0, size: 1 };
  const rows = ROWS / size;
  const id = (row: number, t: number): number => (7 * row + 13 * step + t * (3 + (row % 2))) % 97;
  const at = (shift: number): Int32Array =>
    Int32Array.from({ length: rows * TOKENS }, (_, i) =>
      id(rank * rows + Math.floor(i / TOKENS), (i % TOKENS) + shift),
    );
  return { ids: at(0), targets: at(1), rows };
}

/** Losses of `steps` steps from step `from` on, the means over all ranks' rows. */
export async function losses(
  model: CausalLM,
  optimizer: Parameters<typeof trainStep>[0]['optimizer'],
  group: ProcessGroup | undefined,
  {
    steps = 20,
    from = 0,
    norm = group,
    micro = 1,
  }: { steps?: number; from?: number; norm?: ProcessGroup | undefined; micro?: number } = {},
): Promise<number[]> {
  const { rows } = batch(0, group);
  const clip = norm && { clipGradNorm: (p: readonly never[], most: number) => clipGradNorm_(p, most, norm) };
  const step = trainStep({ model: model as unknown as TrainModel, optimizer, ...(clip as object) }, [
    micro,
    rows / micro,
    TOKENS,
  ]);
  const found: number[] = [];
  for (let i = from; i < from + steps; i++) {
    const { loss } = step.run(batch(i, group));
    if (group !== undefined) allReduce_(loss, group, 'avg');
    found.push(await loss.item());
  }
  step.dispose();
  return found;
}

export const parameters = (model: CausalLM) => trainableParameters(model).map(([, t]) => t);
