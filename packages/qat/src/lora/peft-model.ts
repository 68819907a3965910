// getPeftModel(model, config): puts LoRA tensors in the places of a model's weights. Everything else is frozen.
import {
  AoError,
  float32,
  int32,
  isTensor,
  keep,
  Linear,
  type Module,
  packWeight,
  philox,
  prepare,
  type Runtime,
  scope,
  sqrt,
  type Tensor,
  tensor,
  zeros,
} from '@ao/core';
import { dropout, isTraining, requiresGrad_ } from '@ao/core/autograd';
import { isTarget, type LoraConfig, rankOf } from './lora-config.ts';
import { type LoraTensor, loraKind, rowSquares } from './lora-tensor.ts';

export interface Adapter {
  readonly config: LoraConfig;
  /** By the module's fully qualified name, as `lora.weight` names it without `.weight`. */
  readonly tensors: Map<string, LoraTensor>;
  /** Parameters of modulesToSave, by name. */
  readonly saved: Map<string, Tensor>;
  /** int32 [2] that dropout draws by, where there is dropout: for checkpoints of training, and for those of gradients. */
  readonly generator?: Tensor | undefined;
}

/** U(-1/sqrt(K), 1/sqrt(K)), PEFT's kaiming_uniform_ with a = sqrt(5); numbers of core's generator. */
function initialA(rt: Runtime, r: number, k: number, device: string, seed: number, call: number): Tensor {
  const bound = 1 / Math.sqrt(k);
  const values = Float32Array.from({ length: r * k }, (_, i) => (2 * (philox(seed, i, call)[0] / 2 ** 32) - 1) * bound);
  return keep(tensor(rt, values, { shape: [r, k], device }));
}

/** Modules with a weight that linear reads, by name. */
function linearsOf(model: Module): Map<string, Linear> {
  const found = new Map<string, Linear>();
  for (const [name, module] of model.namedModules()) if (module instanceof Linear) found.set(name, module);
  return found;
}

/** The name of the output layer, where there is one. */
const headOf = (names: Iterable<string>): string | undefined => [...names].find((name) => /(^|\.)lm_head$/.test(name));

/** A module that a config adapts. */
export interface Target {
  readonly name: string;
  readonly module: Linear;
  readonly r: number;
  readonly scaling: number;
}

/** What a config adapts; throws ERR_AO_CONFIG where that is nothing, adapted already, or a weight that two modules share. */
export function targetsOf(model: Module, config: LoraConfig): readonly Target[] {
  const modules = linearsOf(model);
  const head = headOf(modules.keys());
  const places = new Map<Tensor, number>();
  for (const [, t] of model.namedParameters({ all: true })) places.set(t, (places.get(t) ?? 0) + 1);
  const targets = [...modules].filter(([name]) => isTarget(config, name, head));
  if (targets.length === 0) {
    throw new AoError('ERR_AO_CONFIG', `targetModules ${JSON.stringify(config.targetModules)} match no linear module`, {
      fix: `name some of ${[...new Set([...modules.keys()].map((n) => n.split('.').pop()))].join(', ')}`,
    });
  }
  return targets.map(([name, module]) => {
    const { weight } = module;
    if (places.get(weight)! > 1 || loraKind.is(weight)) {
      const why = loraKind.is(weight) ? 'has an adapter already' : 'shares its weight with another module';
      throw new AoError('ERR_AO_CONFIG', `${name} ${why}`, {
        module: name,
        fix: loraKind.is(weight) ? 'unload(model), or hotswapAdapter' : 'leave it out of targetModules, or untie it',
      });
    }
    return { name, module, ...rankOf(config, name) };
  });
}

/** Parameters that are trained whole, by name. */
export function savedModules(model: Module, { modulesToSave }: LoraConfig): Map<string, Tensor> {
  const chosen = [...model.namedParameters()].filter(([name]) => {
    const module = name.slice(0, name.lastIndexOf('.'));
    return modulesToSave.some((m) => module === m || module.endsWith(`.${m}`));
  });
  return new Map(chosen);
}

export interface AdapterParts {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly magnitude?: Tensor | undefined;
}

/** Puts adapters on checked targets; everything else is frozen. */
export function attach(
  model: Module,
  config: LoraConfig,
  targets: readonly Target[],
  make: (target: Target) => AdapterParts,
  generator?: Tensor,
): Adapter {
  requiresGrad_(model, false);
  const saved = savedModules(model, config);
  for (const t of saved.values()) t.requiresGrad = true;
  const tensors = new Map<string, LoraTensor>();
  const input = generator && ((x: Tensor): Tensor => (isTraining() ? dropout(x, config.loraDropout, generator)[0] : x));
  for (const target of targets) {
    const { name, module, scaling } = target;
    const base = module.weight;
    const { a, b, magnitude } = make(target);
    const squares = config.useDora ? keep(rowSquares(base)) : undefined;
    const length = squares === undefined ? undefined : (magnitude ?? keep(scope(() => sqrt(squares))));
    packWeight(base.rt, base);
    const dora = squares !== undefined && length !== undefined ? { squares, magnitude: length } : {};
    const t = keep(loraKind.make({ base, lora_A: a, lora_B: b, ...dora }, { scaling, input }, base.shape, base.dtype));
    for (const part of [a, b, length]) if (part !== undefined) part.requiresGrad = true;
    module.weight = t;
    tensors.set(name, t);
  }
  return { config, tensors, saved, generator };
}

/**
 * PEFT's get_peft_model for LoRA: freezes the model and gives the target modules an adapter that changes nothing yet (B = 0),
 * float32, trainable. The base may be of any kind, packed too (QLoRA). Throws ERR_AO_CONFIG naming modules that cannot be
 * adapted, before anything changes.
 */
export async function getPeftModel(
  model: Module,
  config: LoraConfig,
  options: { readonly seed?: number } = {},
): Promise<Adapter> {
  const { seed = 0 } = options;
  const targets = targetsOf(model, config);
  const { rt, device } = targets[0]!.module.weight;
  // the calls before are those of the values of A
  const state = (): Tensor => keep(tensor(rt, [seed, targets.length], { dtype: int32, device }));
  let call = 0;
  const make = ({ module, r }: Target): AdapterParts => {
    const [n, k] = module.weight.shape as [number, number];
    return {
      a: initialA(rt, r, k, device, seed, call++),
      b: keep(zeros(rt, [n, r], { dtype: float32, device })),
    };
  };
  const adapter = attach(model, config, targets, make, config.loraDropout > 0 ? state() : undefined);
  await prepare(model);
  return adapter;
}

/** The LoRA tensors of a model, by module. */
export function loraTensors(model: Module): Map<string, LoraTensor> {
  const found = new Map<string, LoraTensor>();
  for (const [name, module] of model.namedModules()) {
    const w = (module as { weight?: unknown }).weight;
    if (isTensor(w) && loraKind.is(w)) found.set(name, w);
  }
  return found;
}
