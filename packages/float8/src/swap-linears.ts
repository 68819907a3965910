// Puts training tensors in the place of linears' weights, and linears of their own class in the place of plain ones.
import {
  AoError,
  type Dense,
  getModule,
  keep,
  Linear,
  type Module,
  replaceModule,
  replaceTensor,
  scope,
  type Tensor,
} from '@ao/core';
import { detach, noGrad } from '@ao/core/autograd';
import { type TrainingTensor, trainingKind } from './training-tensor.ts';

/** Whether a linear is converted. */
export type ModuleFilterFn = (module: Module, fqn: string) => boolean;

export interface Swap {
  readonly moduleFilterFn: ModuleFilterFn | undefined;
  /** What is wrong with a weight [N, K] in this scheme. */
  problem?(shape: readonly number[]): string | undefined;
  readonly fix?: string;
  make(weight: Dense, fqn: string): TrainingTensor;
  /** The class of a linear that is plain; a subclass keeps its forward. */
  readonly module: new (
    weight: Tensor,
    bias?: Tensor,
  ) => Linear;
}

/** The training tensor of a weight, requiring a gradient where the weight did. */
export function wrapped(weight: Dense, fqn: string, make: Swap['make']): TrainingTensor {
  const learns = weight.requiresGrad;
  weight.requiresGrad = false;
  const own = keep(noGrad(() => scope(() => make(weight, fqn))));
  if (learns) own.requiresGrad = true;
  return own;
}

function chosen(model: Module, filter: ModuleFilterFn | undefined): [string, Linear][] {
  const all = [...model.namedModules()].filter((entry): entry is [string, Linear] => entry[1] instanceof Linear);
  return all.filter(([fqn, m]) => !trainingKind.is(m.weight) && (filter?.(m, fqn) ?? true));
}

function requireFit(linears: readonly [string, Linear][], { problem, fix }: Swap): void {
  const bad = linears.flatMap(([fqn, { weight }]) => {
    const what = weight.kind !== null || weight.packed !== null ? 'is quantized or packed' : problem?.(weight.shape);
    return what === undefined ? [] : [`${fqn === '' ? 'the linear' : fqn} [${weight.shape}] ${what}`];
  });
  if (bad.length === 0) return;
  throw new AoError('ERR_AO_SHAPE', bad.join('; '), { fix: fix ?? 'leave them out by moduleFilterFn' });
}

/** In place; a root linear is returned in its new class. Throws ERR_AO_SHAPE naming every weight that does not fit, before any work. */
export function swapLinears<M extends Module>(model: M, swap: Swap): M {
  const linears = chosen(model, swap.moduleFilterFn);
  requireFit(linears, swap);
  let root = model as Module;
  for (const [fqn, m] of linears) {
    // a weight that two linears share has been replaced with the first
    if (!trainingKind.is(m.weight)) {
      const weight = m.weight as Dense;
      replaceTensor(model, weight, wrapped(weight, fqn, swap.make));
    }
    if (m.constructor !== Linear) continue;
    const own = new swap.module(m.weight, m.bias);
    if (fqn === '') root = own;
    else replaceModule(model, fqn, own);
  }
  return root as M;
}

/** Training tensors of a model by name, each once. */
export function trainingTensors(model: Module): [string, TrainingTensor][] {
  return [...model.namedParameters()].filter((entry): entry is [string, TrainingTensor] => trainingKind.is(entry[1]));
}

/**
 * Undoes convertToFloat8Training and its like: plain linears with the trained weights. These are new tensors of the same memory, so that an
 * optimizer made before does not know them.
 */
export function toFloatLinears<M extends Module>(model: M): M {
  const linears = [...model.namedModules()].filter(([, m]) => m instanceof Linear && trainingKind.is(m.weight));
  for (const [, t] of trainingTensors(model)) {
    const learns = t.weight.requiresGrad;
    const weight = detach(t.weight);
    replaceTensor(model, t, weight);
    if (learns) weight.requiresGrad = true;
  }
  let root = model as Module;
  for (const [fqn, m] of linears) {
    const { weight, bias } = m as Linear;
    if (Object.getPrototypeOf(m.constructor) !== Linear) continue;
    const plain = new Linear(weight, bias);
    if (fqn === '') root = plain;
    else replaceModule(model, fqn, plain);
  }
  return root as M;
}

/** Runs fn while the model holds its float weights themselves, to save it under the names and in the form of any float model. */
export async function withFloatWeights<T>(model: Module, fn: () => Promise<T>): Promise<T> {
  const places = [...model.namedParameters({ all: true })].flatMap(([name, t]) => {
    if (!trainingKind.is(t)) return [];
    const dot = name.lastIndexOf('.');
    const holder = getModule(model, name.slice(0, Math.max(0, dot))) as unknown as Record<string, Tensor>;
    return [{ holder, key: name.slice(dot + 1), t }];
  });
  try {
    for (const { holder, key, t } of places) holder[key] = t.weight;
    return await fn();
  } finally {
    for (const { holder, key, t } of places) holder[key] = t;
  }
}
