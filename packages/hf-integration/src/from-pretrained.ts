// AutoModelForCausalLM.fromPretrained(name, options): a Hugging Face model folder or hub id as a running model, quantized on
// the way where a config is given, or as the folder has it.
import { AoError, type DType, dtypeByName, dtypeBySafetensors, type LogMessage, type Runtime } from '@ao/core';
import type { MoreConfigs, TensorPlan } from '@ao/quantization';
import { type AutoRuntimeOptions, autoRuntime } from './auto-runtime.ts';
import { readGenerationConfig } from './config/generation-config.ts';
import { type ModelConfig, readModelConfig } from './config/model-config.ts';
import { readSentenceConfig } from './embed/sentence-config.ts';
import { aliased } from './files/aliased.ts';
import { openCheckpoint } from './files/checkpoint.ts';
import { PLAIN, type Stored, storedTensors } from './files/stored.ts';
import { fromConfig } from './from-config.ts';
import type { HubOptions } from './hub/options.ts';
import { resolveModel } from './hub/resolve-model.ts';
import { checkDtypes } from './load/check-dtypes.ts';
import { checkNames } from './load/check-names.ts';
import { type AskedDevices, askedDevices, type DeviceMap } from './load/device-map.ts';
import { loadWeights } from './load/load-weights.ts';
import { blockOf, type MaxMemory } from './load/place-blocks.ts';
import { placement } from './load/placement.ts';
import type { CausalLM } from './models/causal-lm.ts';
import { type AutoClassName, familyOf, type Outline } from './models/family.ts';
import type { PretrainedModel } from './models/pretrained-model.ts';
import { outlineFor, planQuantization } from './quantize/plan.ts';
import { tensorPlans } from './quantize/tensor-plans.ts';
import {
  type QuantizationConfigInput,
  type TorchAoConfig,
  torchAoConfigFromJson,
  toTorchAoConfig,
} from './quantize/torchao-config.ts';

export interface FromPretrainedOptions extends HubOptions {
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
  /**
   * 'auto' puts a decoder on the GPUs and what is left of it on the cpu, layer by layer, and says so; a map gives each module a device by
   * its longest prefix ({ '': 'cpu', 'model.layers.0': 'cuda' }); a device is `device`. `model.hfDeviceMap` tells what came of it.
   */
  readonly deviceMap?: DeviceMap;
  /** For deviceMap 'auto': the most of each device that weights may take, { cuda: '10GiB', cpu: 3e10 }; default: what is free, less a reserve. */
  readonly maxMemory?: MaxMemory;
  /**
   * For training: float parameters require gradients and stay unpacked; quantized ones are frozen. A given runtime needs
   * autograd() of @ao/core/autograd.
   */
  readonly trainable?: boolean;
}

/** fromPretrained of the families that the auto class of this name takes. */
export const autoClass = <M extends PretrainedModel>(auto: AutoClassName) => ({
  async fromPretrained(name: string, options: FromPretrainedOptions = {}): Promise<M> {
    const { quantizationConfig: given, runtime } = options;
    const asked = given === undefined ? undefined : toTorchAoConfig(given, runtime);
    const notes: LogMessage[] = [];
    const folder = await resolveModel(name, 'model', { log: (note) => notes.push(note), ...options });
    const stated = await readModelConfig(folder);
    const family = familyOf(stated, auto);
    const { config, outline, sources } = outlineFor(family, stated, asked);
    const devices = askedDevices(options, outline);
    const generationConfig = await readGenerationConfig(folder, config);
    const sentence = family.embedsTexts === true ? await readSentenceConfig(folder) : undefined;
    await using checkpoint = await openCheckpoint(folder, outline);
    const tensors = aliased(checkpoint.tensors, sources);
    const stored = storedTensors(tensors);
    const shapes = new Map(outline.parameters.map((p) => [p.name, p.shape]));
    const shape = ({ name, type }: Stored): readonly number[] =>
      type === PLAIN ? tensors.entry(name).shape : (shapes.get(name) ?? []);
    checkNames(family, outline, new Map([...stored.values()].map((s) => [s.name, shape(s)])), folder);
    checkDtypes(outline, tensors, stored, folder);
    const quantization = quantizationOf(folder, config, stored, asked, runtime);
    const plain = outline.parameters.find((p) => stored.get(p.name)?.type === PLAIN);
    const dtype = dtypeOf(
      askedDtype(options),
      config,
      plain && dtypeBySafetensors(tensors.entry(plain.name).dtype).name,
    );
    const { trainable } = options;
    const use = trainable === true ? [(await import('@ao/core/autograd')).autograd()] : [];
    const rt = runtime ?? (await autoRuntime({ ...runtimeFor(devices), use }));
    for (const note of notes) rt.say(note);
    for (const message of checkpoint.notes) rt.say({ level: 'info', code: 'foreign', message }, message);
    try {
      const plans = asked ? plansOf(rt, outline, asked, dtype) : new Map<string, TensorPlan>();
      const { deviceMap, deviceOf } = placement(rt, devices, outline, {
        maxMemory: options.maxMemory,
        dtype,
        configs: asked && new Map(planQuantization(outline, asked).parameters.map((p) => [p.parameter.name, p.config])),
        stored: (name) => {
          const { type, nbytes } = stored.get(name)!;
          return { nbytes, dtype: type === PLAIN ? dtypeBySafetensors(tensors.entry(name).dtype).name : undefined };
        },
      });
      const weights = await loadWeights(rt, outline, tensors, stored, {
        deviceOf: (name) => deviceOf(blockOf(name, outline)),
        dtype,
        plans,
        trainable,
        onProgress: options.onProgress,
        signal: options.signal,
      });
      const model = outline.build((name) => weights.get(name)!);
      model.origin = {
        folder,
        config,
        generationConfig,
        ...(quantization === undefined ? {} : { quantization }),
        ...(outline.configChanges === undefined ? {} : { configChanges: outline.configChanges }),
        ...(sentence === undefined ? {} : { sentence }),
        ...(deviceMap === undefined ? {} : { deviceMap }),
      };
      return model as M;
    } catch (error) {
      if (!runtime) await rt.close();
      throw error;
    }
  },
});

export const AutoModelForCausalLM = /*@__PURE__*/ Object.assign(
  /*@__PURE__*/ autoClass<CausalLM>('AutoModelForCausalLM'),
  { fromConfig },
);

/** What has to be open for these devices. */
function runtimeFor(asked: AskedDevices): AutoRuntimeOptions {
  if (asked.how === 'one') return { device: asked.device };
  return asked.how === 'room' ? { devices: 'all' } : { devices: [...new Set(asked.map.values())] };
}

function plansOf(rt: Runtime, outline: Outline, config: TorchAoConfig, dtype: DType): Map<string, TensorPlan> {
  const plan = planQuantization(outline, config);
  for (const rule of plan.unusedRules) {
    rt.say({ level: 'warn', code: 'unused-rule', message: `quantization rule '${rule}' matches nothing` }, rule);
  }
  return tensorPlans(rt, plan, () => dtype.name);
}

/** What the weights are, or are to be, quantized with. */
export function quantizationOf(
  folder: string,
  config: ModelConfig,
  stored: ReadonlyMap<string, Stored>,
  asked: TorchAoConfig | undefined,
  more?: MoreConfigs,
): TorchAoConfig | undefined {
  const quantized = [...stored.values()].some((s) => s.type !== PLAIN);
  if (asked && (quantized || config.quantizationConfig)) {
    throw new AoError('ERR_AO_CONFIG', `${folder} is quantized already`, {
      fix: 'load it without quantizationConfig, or quantize the model that it was made from',
    });
  }
  return asked ?? (config.quantizationConfig && torchAoConfigFromJson(config.quantizationConfig, config.where, more));
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

/** dtype of activations; `stored`: that of a tensor of the file. */
export function dtypeOf(asked: string, config: ModelConfig, stored: string | undefined): DType {
  const name = asked === 'auto' ? (config.dtype ?? stored ?? 'float32') : asked;
  if (!FLOATS.includes(name)) {
    throw new AoError('ERR_AO_DTYPE', `dtype '${name}' cannot hold activations`, {
      fix: `use auto, ${FLOATS.join(', ')}`,
    });
  }
  return dtypeByName(name);
}
