// AutoModelForCausalLM.fromPretrained(folder, options): a Hugging Face model folder as a running model.
import { AoError, type DType, dtypeByName, type Runtime } from '@ao/core';
import { autoRuntime } from './auto-runtime.ts';
import { readGenerationConfig } from './config/generation-config.ts';
import { type ModelConfig, readModelConfig } from './config/model-config.ts';
import { type Checkpoint, openCheckpoint } from './files/checkpoint.ts';
import { checkNames } from './load/check-names.ts';
import { loadWeights } from './load/load-weights.ts';
import type { CausalLM } from './models/causal-lm.ts';
import { familyOf } from './models/family.ts';
import type { OnProgress } from './progress.ts';

export interface FromPretrainedOptions {
  /** Default: autoRuntime(), one for each model; it is closed by closing model.rt. */
  readonly runtime?: Runtime;
  /** dtype of activations and of what is not quantized. 'auto' (default) = the checkpoint's. */
  readonly dtype?: string;
  /** 'auto' (default) = the runtime's. */
  readonly device?: string;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export const AutoModelForCausalLM = {
  async fromPretrained(folder: string, options: FromPretrainedOptions = {}): Promise<CausalLM> {
    const config = await readModelConfig(folder);
    const family = familyOf(config);
    const outline = family.outline(config);
    const generationConfig = await readGenerationConfig(folder, config);
    await using checkpoint = await openCheckpoint(folder);
    const { tensors } = checkpoint;
    checkNames(family, outline, new Map(tensors.names.map((n) => [n, tensors.entry(n).shape])), folder);
    const { device = 'auto' } = options;
    const rt = options.runtime ?? (await autoRuntime({ device }));
    const weights = await loadWeights(rt, outline, tensors, {
      device: device === 'auto' ? rt.device : device,
      dtype: dtypeOf(options.dtype ?? 'auto', config, checkpoint, outline.parameters[0]!.name),
      onProgress: options.onProgress,
      signal: options.signal,
    });
    const model = outline.build((name) => weights.get(name)!);
    model.origin = { folder, config, generationConfig };
    return model;
  },
};

const FLOATS = ['float32', 'bfloat16', 'float16'];

function dtypeOf(asked: string, config: ModelConfig, { tensors }: Checkpoint, first: string): DType {
  const file: Readonly<Record<string, string>> = { F32: 'float32', BF16: 'bfloat16', F16: 'float16' };
  const name = asked === 'auto' ? (config.dtype ?? file[tensors.entry(first).dtype] ?? 'float32') : asked;
  if (!FLOATS.includes(name)) {
    throw new AoError('ERR_AO_DTYPE', `dtype '${name}' cannot hold activations`, {
      fix: `use auto, ${FLOATS.join(', ')}`,
    });
  }
  return dtypeByName(name)!;
}
