// The first and last step of torchao's flow: prepareObservers puts an observer before each selected weight, the model then runs on
// data as it is, and readObservers gives what they saw. quantize_ does both for a config with step: 'prepare' | 'convert'.
import { AoError, type Module, type Tensor } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import type { NumberList } from '../config/int8-static-activation-int8-weight.ts';
import { type FilterFn, selectWeights } from '../quantize/select.ts';
import type { Rules } from '../rules/rules.ts';
import { type ActivationQparams, activationOf, isStaticConfig, wantsOutput } from './activation-of.ts';
import { type ObservedTensor, observedKind, type Seen } from './observed-tensor.ts';
import { AffineQuantizedMinMaxObserver, type AffineQuantizedObserver, type ObserverOptions } from './observer.ts';
import { swapTensors } from './swap-tensors.ts';

export interface PrepareOptions {
  /** What collects a module's activations. Default: their least and largest value. */
  readonly observer?: (options: ObserverOptions) => AffineQuantizedObserver;
  readonly rules?: Rules;
  readonly filterFn?: FilterFn;
}

/** One weight, however many names it has. */
export interface Watched {
  readonly names: readonly string[];
  readonly config: AoConfig;
  readonly observer: AffineQuantizedObserver;
  /** Of what the weight's linear gives, where its config rounds that too. */
  readonly outputs: AffineQuantizedObserver | undefined;
  readonly weight: Tensor;
  readonly observed: ObservedTensor;
}

const watched = new WeakMap<Tensor, Watched>();

/** Puts observers before the weights that a static config selects; returns them. The model computes what it did before. */
export function prepareObservers(model: Module, config: AoConfig | Rules, options: PrepareOptions = {}): Watched[] {
  const { observer: make = (o) => new AffineQuantizedMinMaxObserver(o), rules = [], filterFn } = options;
  const { decisions } = selectWeights(model.named(), config, rules, filterFn);
  const chosen = decisions.filter((d) => d.config !== null && isStaticConfig(d.config));
  if (chosen.length === 0) {
    const quantized = decisions.find((d) => d.weight.kind !== null);
    throw configError(
      quantized === undefined
        ? 'no weight is selected by a config with static activations'
        : `no weight can be observed: ${quantized.names[0]} is ${quantized.weight.kind?.name} already`,
      'give int8StaticActivationInt8Weight() or another config with actQuantScale, and a model that is not quantized',
    );
  }
  const made = chosen.map(({ names, config: own, weight }): Watched => {
    const observer = make(activationOf(own as AoConfig));
    const outputs = wantsOutput(own as AoConfig) ? make(activationOf(own as AoConfig)) : undefined;
    const observeOutput = outputs && { observeOutput: (y: Tensor) => void outputs.forward(y) };
    const attrs = { observe: ({ x }: Seen) => void observer.forward(x), ...observeOutput };
    const observed = observedKind.make({ weight }, attrs, weight.shape, weight.dtype);
    observed.kept = true;
    return { names, config: own as AoConfig, observer, outputs, weight, observed };
  });
  swapTensors(model, new Map(made.map((w) => [w.weight, w.observed])));
  for (const w of made) watched.set(w.observed, w);
  return made;
}

/** The observers that prepareObservers put into the model. */
export function observersOf(model: Module): Watched[] {
  return [...model.packable()].flatMap((t) => watched.get(t) ?? []);
}

/** Those of inputs and of outputs. */
export const observersIn = (all: readonly Watched[]): AffineQuantizedObserver[] =>
  all.flatMap(({ observer, outputs }) => (outputs === undefined ? observer : [observer, outputs]));

/** Takes the observers out again; the weights are those from before. */
export function removeObservers(model: Module, all: readonly Watched[] = observersOf(model)): void {
  swapTensors(model, new Map(all.map((w) => [w.observed as Tensor, w.weight])));
  for (const observer of observersIn(all)) observer.dispose();
}

/** What observers saw, by the first name of each weight. Throws ERR_AO_CONFIG naming every module without usable data. */
export async function readObservers(all: readonly Watched[]): Promise<Map<string, ActivationQparams>> {
  const found = new Map<string, ActivationQparams>();
  const problems: string[] = [];
  for (const { names, observer, outputs } of all) {
    const name = names[0] as string;
    const module = name.replace(/\.?[^.]+$/, '');
    const [input, output] = [await read(observer), outputs && (await read(outputs))];
    if (typeof input === 'string') problems.push(`${module}: its input ${input}`);
    else if (typeof output === 'string') problems.push(`${module}: its output ${output}`);
    else found.set(name, { ...input, ...(output && { outputScale: output.scale }) });
  }
  if (problems.length === 0) return found;
  throw new AoError('ERR_AO_CONFIG', `no scale for ${problems.length} activations:\n  ${problems.join('\n  ')}\n`, {
    op: 'observe',
    module: problems[0]?.split(':')[0],
    fix: 'run data that reaches every module, check it for NaN, or leave modules out by rules with null',
  });
}

async function read(observer: AffineQuantizedObserver): Promise<ActivationQparams | string> {
  await observer.settle();
  if (observer.range === undefined) return 'met no data';
  const { min, max } = observer.range;
  const ends = [...((await min.data()) as Float32Array), ...((await max.data()) as Float32Array)];
  if (!ends.every(Number.isFinite)) return 'holds NaN or infinity';
  if (ends.every((v) => v === 0)) return 'was 0 throughout';
  const [scale, zero] = observer.calculateQparams();
  const list = async (t: Tensor): Promise<NumberList> => nested(Array.from(await t.data(), Number), t.shape);
  const qparams = { scale: await list(scale), zeroPoint: await list(zero) };
  scale.dispose();
  zero.dispose();
  return qparams;
}

/** [1, 1] at least: as torchao's keepdim scales of a matrix. */
function nested(values: readonly number[], shape: readonly number[]): NumberList {
  const sizes = shape.length === 0 ? [1, 1] : shape.length === 1 ? [shape[0] as number, 1] : shape;
  const build = (at: number, size: number, [n, ...rest]: readonly number[]): NumberList => {
    if (n === undefined) return values[at] as number;
    const step = size / n;
    return Array.from({ length: n }, (_, i) => build(at + i * step, step, rest));
  };
  return build(0, values.length, sizes);
}
