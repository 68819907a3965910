// AutoModelForCausalLM.fromConfig(folder): a model as config.json describes it, with new weights, to train from the beginning: matrices
// normal with mean 0 and standard deviation initializer_range (0.02), norms 1 (0 where they add 1), biases 0, as transformers initialises.
import { AoError, dtypeByName, empty, fill_, int32, keep, RMSNorm, type Runtime, type Tensor, tensor } from '@ao/core';
import { autoRuntime } from './auto-runtime.ts';
import { Fields } from './config/fields.ts';
import { readGenerationConfig } from './config/generation-config.ts';
import { readModelConfig } from './config/model-config.ts';
import type { CausalLM } from './models/causal-lm.ts';
import { familyOf, type ParameterSpec } from './models/family.ts';

export interface FromConfigOptions {
  /** Default: autoRuntime() with autograd(). */
  readonly runtime?: Runtime;
  /** 'auto' (default) = the runtime's. */
  readonly device?: string;
  /** Of the parameters; float32 unless given. */
  readonly dtype?: string;
  /** Of the weights; 0. Equal seeds give equal weights on every device. */
  readonly seed?: number;
}

/** All parameters require gradients. Throws ERR_AO_CONFIG where the folder's config.json is none of a model that ao builds. */
export async function fromConfig(folder: string, options: FromConfigOptions = {}): Promise<CausalLM> {
  const { device = 'auto', seed = 0 } = options;
  const config = await readModelConfig(folder);
  if (config.quantizationConfig !== undefined)
    throw new AoError('ERR_AO_CONFIG', `${config.where} is of a quantized model`, {
      fix: 'take quantization_config out: weights are trained as floats, and quantized afterwards',
    });
  const { parameters, build } = familyOf(config, 'AutoModelForCausalLM').outline(config);
  const generationConfig = await readGenerationConfig(folder, config);
  const std = new Fields(config.json, config.where).positive('initializer_range', 0.02);
  const dtype = dtypeByName(options.dtype ?? 'float32');
  const { autograd, normal_ } = await import('@ao/core/autograd');
  const rt = options.runtime ?? (await autoRuntime({ device, use: [autograd()] }));
  const where = { dtype, device: device === 'auto' ? rt.device : device };
  using generator = tensor(rt, [seed, 0], { ...where, dtype: int32 });
  const made = ({ shape, role }: ParameterSpec): Tensor => {
    const t = keep(empty(rt, shape, where));
    t.guard();
    return role === 'vector' ? fill_(t, 0) : normal_(t, 0, std, generator);
  };
  const weights = new Map(parameters.map((spec) => [spec.name, made(spec)]));
  const model = build((name) => weights.get(name)!) as CausalLM;
  for (const [, module] of model.namedModules()) {
    if (module instanceof RMSNorm) fill_(module.weight, 1 - module.offset);
  }
  for (const t of weights.values()) t.requiresGrad = true;
  model.origin = { folder, config, generationConfig };
  return model;
}
