// The base of all optimizers: groups of parameters with options of their own, a state a parameter, a step that calls one
// fused op a parameter, and a state dict under torch's names. Wrappers work on `paramGroups` and `state`.
import {
  AoError,
  copy_,
  type Dense,
  fill_,
  isDense,
  isTensor,
  isWrapped,
  reshape,
  scope,
  type Tensor,
  tensor,
  to,
} from '@ao/core';
import { noGrad, zeroGrad } from '@ao/core/autograd';
import { asForm } from './state/convert.ts';

/** The rate at which a group is made; then `lr` is a float32 tensor of one element, so that a captured step replays with a new one. */
export type GroupInput<O> = { readonly params: Iterable<Tensor>; readonly lr?: number } & Partial<O>;

export type ParamGroup<O> = O & {
  readonly params: Tensor[];
  readonly lr: Dense;
  /** The rate that the group was made with, which schedules multiply. */
  readonly initialLr: number;
};

/** Tensors of a parameter's state by torch's names: step, exp_avg, exp_avg_sq, ... */
export type ParamState = Record<string, Tensor>;

const isGroups = <O>(x: readonly unknown[]): x is readonly GroupInput<O>[] => x.length > 0 && !isTensor(x[0]);

export abstract class Optimizer<O extends object> {
  readonly paramGroups: ParamGroup<O>[] = [];
  readonly state: Map<Tensor, ParamState> = new Map();
  readonly #defaults: O;
  readonly #lr: number;

  /** `params`: tensors, or groups of them with options that stand above `defaults`. Throws ERR_AO_CONFIG before any work. */
  constructor(params: Iterable<Tensor> | Iterable<GroupInput<O>>, lr: number, defaults: O) {
    this.#defaults = defaults;
    this.#lr = lr;
    const given = [...params];
    if (given.length === 0)
      throw new AoError('ERR_AO_CONFIG', 'an optimizer got no parameters', { fix: 'give model.parameters()' });
    const groups = isGroups<O>(given) ? given : [{ params: given as Tensor[] } as unknown as GroupInput<O>];
    for (const group of groups) this.addParamGroup(group);
  }

  /** Throws ERR_AO_CONFIG for options that no step could take. */
  protected abstract check(options: O): void;
  /** Zeros that a step starts from. */
  protected abstract newState(p: Tensor, group: ParamGroup<O>): ParamState;
  protected abstract update(p: Tensor, grad: Tensor, state: ParamState, group: ParamGroup<O>): void;

  addParamGroup({ params: given, lr = this.#lr, ...options }: GroupInput<O>): void {
    const params = [...given];
    const first = params[0];
    if (first === undefined || !(lr >= 0))
      throw new AoError('ERR_AO_CONFIG', `a group of ${params.length} parameters with lr ${lr}`, {
        fix: 'give at least one parameter, and lr >= 0',
      });
    const known = new Set(this.paramGroups.flatMap((g) => g.params));
    for (const [i, p] of params.entries()) {
      p.check();
      if (!isDense(p) || p.packed !== null || p.dtype.category !== 'float' || known.has(p))
        throw new AoError(
          'ERR_AO_CONFIG',
          `parameter ${i} of the group, ${p}, ${known.has(p) ? 'is in a group already' : 'is no dense, unpacked tensor of floats'}`,
          { fix: 'give each trainable parameter once; quantized weights stay frozen' },
        );
      known.add(p);
    }
    const merged = { ...this.#defaults, ...(options as Partial<O>) };
    this.check(merged);
    const rate = tensor(first.rt, lr, { device: first.device });
    rate.kept = true;
    this.paramGroups.push({ ...merged, params, lr: rate, initialLr: lr });
  }

  /** Sets the rate of all groups, or of one, in stream order: plans that hold a step see it at their next replay. */
  setLr(lr: number, group?: number): void {
    for (const [i, g] of this.paramGroups.entries()) if (group === undefined || group === i) fill_(g.lr, lr);
  }

  /** The state of p, made where there is none. */
  private stateOf(p: Tensor, group: ParamGroup<O>): ParamState {
    const known = this.state.get(p);
    if (known !== undefined) return known;
    if (p.rt.backend(p.device).capturing)
      throw new AoError('ERR_AO_STREAM', 'a captured step would make its state anew at each replay', {
        fix: 'call optimizer.initState() before the capture',
      });
    const made = scope(() => this.newState(p, group));
    for (const t of Object.values(made)) t.kept = true;
    this.state.set(p, made);
    return made;
  }

  /** Makes the state of all parameters that require gradients; without it the first step does, except within a capture. */
  initState(): void {
    for (const group of this.paramGroups) for (const p of group.params) if (p.requiresGrad) this.stateOf(p, group);
  }

  /** Steps every parameter that has a gradient; returns at once, the device works in order. */
  step(): void {
    noGrad(() => {
      for (const group of this.paramGroups) {
        for (const p of group.params) if (p.grad !== null) this.update(p, p.grad, this.stateOf(p, group), group);
      }
    });
  }

  /** Disposes all gradients. */
  zeroGrad(): void {
    for (const { params } of this.paramGroups) zeroGrad(params);
  }

  /** Bytes that the state holds; what states share is counted once. */
  stateBytes(): number {
    const storages = new Set<Dense['storage']>();
    const visit = (t: Tensor): void => {
      if (isWrapped(t)) for (const part of Object.values(t.parts)) visit(part);
      else storages.add((t as Dense).storage);
    };
    for (const state of this.state.values()) for (const t of Object.values(state)) visit(t);
    return [...storages].reduce((sum, s) => sum + s.nbytes, 0);
  }

  /** Tensors of the optimizer itself by name, which the state dict has too. */
  protected extras(): Record<string, Tensor> {
    return {};
  }

  /** The state by torch's names, `state.0.exp_avg`, parameters counted over all groups, and `param_groups.0.lr`. Tensors are not copied. */
  stateDict(): Map<string, Tensor> {
    const dict = new Map<string, Tensor>(Object.entries(this.extras()));
    for (const [i, group] of this.paramGroups.entries()) dict.set(`param_groups.${i}.lr`, group.lr);
    for (const [i, p] of this.paramGroups.flatMap((g) => g.params).entries()) {
      for (const [name, t] of Object.entries(this.state.get(p) ?? {})) dict.set(`state.${i}.${name}`, t);
    }
    return dict;
  }

  /**
   * Writes a state dict into this optimizer's state, in place: plans stay valid. Moments may be floats, as torch saves them, or codes; they
   * take the form that this optimizer keeps. Names that are missing or unknown throw ERR_AO_FORMAT before anything changes; of the groups'
   * options the rate alone is read.
   */
  async loadStateDict(dict: ReadonlyMap<string, Tensor>): Promise<void> {
    const named = this.#targets(dict);
    for (const [name, target] of named) {
      const source = dict.get(name)!;
      if (source.numel === target.numel) continue;
      throw new AoError(
        'ERR_AO_FORMAT',
        `${name} has shape [${source.shape}], this optimizer needs [${target.shape}]`,
        {
          tensor: name,
          fix: 'give the parameters in the order in which they were saved',
        },
      );
    }
    for (const [name, target] of named) {
      const moved = await to(dict.get(name)!, target.device, target.rt);
      await copyState(target, moved, name);
      if (moved !== dict.get(name)) moved.dispose();
    }
  }

  /** Tensors of this optimizer for the names of a dict. */
  #targets(dict: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
    const extras = this.extras();
    const params = this.paramGroups.flatMap((group) => group.params.map((p) => ({ p, group })));
    const found = new Map<string, Tensor>();
    const problems: string[] = [];
    const seen = new Map<Tensor, Set<string>>();
    for (const name of dict.keys()) {
      const [, list, index = '', key = ''] = /^(state|param_groups)\.(\d+)\.(.+)$/.exec(name) ?? [];
      const at = list === 'state' ? params[Number(index)] : undefined;
      if (at !== undefined) seen.set(at.p, (seen.get(at.p) ?? new Set()).add(key));
      const target =
        at !== undefined
          ? this.stateOf(at.p, at.group)[key]
          : list === 'param_groups' && key === 'lr'
            ? this.paramGroups[Number(index)]?.lr
            : extras[name];
      if (target === undefined) problems.push(`${name} is unknown`);
      else found.set(name, target);
    }
    for (const [i, { p }] of params.entries()) {
      for (const key of Object.keys(seen.has(p) ? (this.state.get(p) ?? {}) : {}))
        if (!seen.get(p)?.has(key)) problems.push(`state.${i}.${key} is missing`);
    }
    if (problems.length === 0) return found;
    throw new AoError('ERR_AO_FORMAT', `the state dict does not fit: ${problems.slice(0, 8).join(', ')}`, {
      fix: 'load what the same class of optimizer saved for the same parameters',
    });
  }
}

/** Writes `source` into `target`, on one device; codes of another form go through floats. */
async function copyState(target: Tensor, source: Tensor, name: string): Promise<void> {
  const same = await asForm(target, source, name);
  if (isWrapped(target)) {
    for (const [part, t] of Object.entries(target.parts)) copy_(t, (same as typeof target).parts[part]!);
  } else scope(() => void copy_(target, reshape(same, target.shape)));
  if (same !== source) same.dispose();
}
