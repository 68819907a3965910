// AutoModelForCausalLM.fromPretrained(folder, options): a Hugging Face model folder as a running model, quantized on the way
// where a config is given, or as the folder has it.
import { AoError, type DType, dtypeByName, dtypeBySafetensors, type Runtime } from '@ao/core';
import type { TensorPlan } from '@ao/quantization';
import { autoRuntime } from './auto-runtime.ts';
import { readGenerationConfig } from './config/generation-config.ts';
import { type ModelConfig, readModelConfig } from './config/model-config.ts';
import { aliased } from './files/aliased.ts';
import { openCheckpoint } from './files/checkpoint.ts';
import { PLAIN, type Stored, storedTensors } from './files/stored.ts';
import { checkNames } from './load/check-names.ts';
import { type DeviceMap, deviceOf } from './load/device-map.ts';
import { loadWeights } from './load/load-weights.ts';
import type { CausalLM } from './models/causal-lm.ts';
import { familyOf, type Outline } from './models/family.ts';
import type { OnProgress } from './progress.ts';
import { outlineFor, planQuantization } from './quantize/plan.ts';
import { tensorPlans } from './quantize/tensor-plans.ts';
import {
  type QuantizationConfigInput,
  type TorchAoConfig,
  torchAoConfigFromJson,
  toTorchAoConfig,
} from './quantize/torchao-config.ts';

export interface FromPretrainedOptions {
  /**
   * Quantizes each weight as it is read: the model in full precision is never in memory as a whole. torchAoConfig(...), a
   * config such as int4WeightOnly({ groupSize: 32 }), or a name such as 'int4wo-32'.
   */
  readonly quantizationConfig?: QuantizationConfigInput;
  /** Default: autoRuntime(), one for each model; close it by `await model.rt.close()`. */
  readonly runtime?: Runtime;
  /** dtype of activations and of what is not quantized. 'auto' (default) = the checkpoint's. */
  readonly dtype?: string;
  /** The older name of `dtype`. */
  readonly torchDtype?: string;
  /** 'auto' (default) = the runtime's. */
  readonly device?: string;
  /** transformers' name of `device`: 'auto', a device, or a device for each module ({ '': 'cpu' }), all the same for now. */
  readonly deviceMap?: DeviceMap;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export const AutoModelForCausalLM = {
  async fromPretrained(folder: string, options: FromPretrainedOptions = {}): Promise<CausalLM> {
    const asked = options.quantizationConfig === undefined ? undefined : toTorchAoConfig(options.quantizationConfig);
    const stated = await readModelConfig(folder);
    const family = familyOf(stated);
    const { config, outline, sources } = outlineFor(family, stated, asked);
    const device = deviceOf(options, outline);
    const generationConfig = await readGenerationConfig(folder, config);
    await using checkpoint = await openCheckpoint(folder);
    const tensors = aliased(checkpoint.tensors, sources);
    const stored = storedTensors(tensors);
    const shape = ({ name, type }: Stored): readonly number[] =>
      type === PLAIN ? tensors.entry(name).shape : (outline.parameters.find((p) => p.name === name)?.shape ?? []);
    checkNames(family, outline, new Map([...stored.values()].map((s) => [s.name, shape(s)])), folder);
    const quantization = quantizationOf(folder, config, stored, asked);
    const plain = [...stored.values()].find((s) => s.type === PLAIN);
    const dtype = dtypeOf(
      askedDtype(options),
      config,
      plain && dtypeBySafetensors(tensors.entry(plain.name).dtype).name,
    );
    const rt = options.runtime ?? (await autoRuntime({ device }));
    try {
      const plans = asked ? plansOf(rt, outline, asked, dtype) : new Map<string, TensorPlan>();
      const weights = await loadWeights(rt, outline, tensors, stored, {
        device: device === 'auto' ? rt.device : device,
        dtype,
        plans,
        onProgress: options.onProgress,
        signal: options.signal,
      });
      const model = outline.build((name) => weights.get(name)!);
      model.origin = { folder, config, generationConfig, ...(quantization === undefined ? {} : { quantization }) };
      return model;
    } catch (error) {
      if (!options.runtime) await rt.close();
      throw error;
    }
  },
};

function plansOf(rt: Runtime, outline: Outline, config: TorchAoConfig, dtype: DType): Map<string, TensorPlan> {
  const plan = planQuantization(outline, config);
  for (const rule of plan.unusedRules) {
    rt.say({ level: 'warn', code: 'unused-rule', message: `quantization rule '${rule}' matches nothing` }, rule);
  }
  return tensorPlans(rt, plan, () => dtype.name);
}

function quantizationOf(
  folder: string,
  config: ModelConfig,
  stored: ReadonlyMap<string, Stored>,
  asked: TorchAoConfig | undefined,
): TorchAoConfig | undefined {
  const quantized = [...stored.values()].some((s) => s.type !== PLAIN);
  if (asked && (quantized || config.quantizationConfig)) {
    throw new AoError('ERR_AO_CONFIG', `${folder} is quantized already`, {
      fix: 'load it without quantizationConfig, or quantize the model that it was made from',
    });
  }
  return asked ?? (config.quantizationConfig && torchAoConfigFromJson(config.quantizationConfig, config.where));
}

const FLOATS = ['float32', 'bfloat16', 'float16'];

/** One of dtype and torchDtype; 'torch.bfloat16' is 'bfloat16'. */
function askedDtype({ dtype, torchDtype }: FromPretrainedOptions): string {
  if (dtype !== undefined && torchDtype !== undefined && dtype !== torchDtype) {
    throw new AoError('ERR_AO_CONFIG', `dtype is '${dtype}' and torchDtype is '${torchDtype}'`, {
      fix: 'give dtype alone',
    });
  }
  return (dtype ?? torchDtype ?? 'auto').replace(/^torch\./, '');
}

function dtypeOf(asked: string, config: ModelConfig, stored: string | undefined): DType {
  const name = asked === 'auto' ? (config.dtype ?? stored ?? 'float32') : asked;
  if (!FLOATS.includes(name)) {
    throw new AoError('ERR_AO_DTYPE', `dtype '${name}' cannot hold activations`, {
      fix: `use auto, ${FLOATS.join(', ')}`,
    });
  }
  return dtypeByName(name);
}
