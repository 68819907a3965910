// QuantOptimizer (torchao's prototype/parq): a base optimizer steps latent parameters, and the model gets what a proximal map makes of them,
// which from step to step draws them to the values of a quantizer.
import {
  AoError,
  add,
  cast,
  clone,
  copy_,
  type Dense,
  div,
  fill_,
  float32,
  int32,
  type Module,
  maximum,
  reshape,
  scope,
  type Tensor,
  to,
  zeros,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { type QuantizeReport, quantize_ } from '@ao/quantization';
import { configError } from '../config/fake-quantize.ts';
import type { ProxMap } from './prox-map.ts';
import type { Quantizer } from './quantizer.ts';

/** What is needed of an optimizer; those of @ao/optim have it. */
export interface BaseOptimizer {
  readonly paramGroups: readonly {
    readonly params: readonly Tensor[];
    readonly lr: Dense;
    readonly initialLr: number;
    readonly weightDecay?: number;
  }[];
  initState(): void;
  step(): void;
  zeroGrad(): void;
  setLr(lr: number, group?: number): void;
  stateBytes(): number;
  stateDict(): Map<string, Tensor>;
  loadStateDict(dict: ReadonlyMap<string, Tensor>): Promise<void>;
}

/** Parameters of one of the base optimizer's groups, all with quantBits (0: ternary), in blocks of quantBlockSize or rows. */
export interface QuantGroup {
  readonly params: readonly Tensor[];
  readonly quantBits: number;
  readonly quantBlockSize?: number;
  /** Instead of the optimizer's. */
  readonly quantizer?: Quantizer;
}

export interface QuantOptimizerOptions {
  readonly quantizer: Quantizer;
  readonly proxMap: ProxMap;
  /** Steps of the base optimizer alone; 0. */
  readonly warmupSteps?: number;
  /** Steps from one search for the values to the next; 10. */
  readonly quantPeriod?: number;
  /** Each row or block has values of its own, else a tensor has one set; false. */
  readonly quantPerChannel?: boolean;
  /** Divides what is drawn by the sum of the rates, where that is above 1; false. */
  readonly quantShrink?: boolean;
  /** The part of the weight decay that goes with the slope of the map; 0. */
  readonly annealWdFrac?: number;
}

interface ParamState {
  readonly latent: Dense;
  readonly quants: Dense;
}

interface Group extends QuantGroup {
  readonly quantizer: Quantizer;
  /** Its group of the base optimizer. */
  readonly base: { readonly lr: Dense; weightDecay?: number };
  readonly initialWd: number;
  readonly cumuLr: Dense;
}

const kept = <T extends Tensor>(t: T): T => {
  t.kept = true;
  return t;
};

export class QuantOptimizer {
  readonly base: BaseOptimizer;
  readonly #options: Required<QuantOptimizerOptions>;
  readonly #groups: readonly Group[];
  readonly #state = new Map<Tensor, ParamState>();
  readonly #counter: Dense;
  #steps = 0;

  /** `groups` are those of the base optimizer's parameters that are quantized. Throws ERR_AO_CONFIG before any work. */
  constructor(base: BaseOptimizer, groups: readonly QuantGroup[], options: QuantOptimizerOptions) {
    this.base = base;
    this.#options = {
      ...{ warmupSteps: 0, quantPeriod: 10, quantPerChannel: false, quantShrink: false, annealWdFrac: 0 },
      ...options,
    };
    const { quantPeriod, annealWdFrac, quantizer } = this.#options;
    if (!(Number.isInteger(quantPeriod) && quantPeriod > 0 && annealWdFrac >= 0 && annealWdFrac <= 1))
      throw configError(
        `quantPeriod ${quantPeriod}, annealWdFrac ${annealWdFrac}`,
        'give whole steps, and a part of 0 to 1',
      );
    if (groups.length === 0) throw configError('no group is quantized', 'give groups with params and quantBits');
    for (const group of groups) checkGroup(group, group.quantizer ?? quantizer);
    this.#groups = groups.map((group) => {
      const own = baseGroup(base, group);
      const cumuLr = kept(zeros(own.lr.rt, [], { device: own.lr.device }));
      return { quantizer, ...group, base: own, initialWd: own.weightDecay ?? 0, cumuLr };
    });
    const { rt, device } = this.#groups[0]!.cumuLr;
    this.#counter = kept(zeros(rt, [1], { dtype: int32, device }));
  }

  get paramGroups(): BaseOptimizer['paramGroups'] {
    return this.base.paramGroups;
  }

  get numSteps(): number {
    return this.#steps;
  }

  /** Makes the state of all parameters. */
  initState(): void {
    this.base.initState();
    for (const group of this.#groups) for (const p of group.params) this.#stateOf(p, group);
  }

  /** A step of the base optimizer on the latent parameters, then the proximal map. Cannot be captured: the map changes with the step. */
  step(): void {
    const { warmupSteps, quantPeriod } = this.#options;
    const { rt, device } = this.#counter;
    if (rt.backend(device).capturing)
      throw new AoError(
        'ERR_AO_STREAM',
        'a captured step would repeat the proximal map of the step at which it was recorded',
        {
          op: 'parq',
          fix: 'train with { capture: false }',
        },
      );
    this.restoreLatentParams();
    this.base.step();
    if (this.#steps >= warmupSteps) {
      const search = (this.#steps - warmupSteps) % quantPeriod === 0;
      noGrad(() => {
        for (const group of this.#groups) this.#draw(group, search);
      });
    }
    this.#steps += 1;
  }

  zeroGrad(): void {
    this.base.zeroGrad();
  }

  /** Sets the rate of all groups, or of one. */
  setLr(lr: number, group?: number): void {
    this.base.setLr(lr, group);
  }

  /** Bytes of the base optimizer's state, of latent parameters and of values. */
  stateBytes(): number {
    const own = [...this.#state.values()].flatMap(({ latent, quants }) => [latent, quants]);
    return own.reduce((sum, t) => sum + t.storage.nbytes, this.base.stateBytes());
  }

  /** Gives the model the latent parameters, so that converting rounds them itself. */
  restoreLatentParams(): void {
    if (this.#steps <= this.#options.warmupSteps) return;
    noGrad(() => {
      for (const [p, { latent }] of this.#state) copy_(p, latent);
    });
  }

  /**
   * Quantizes what was trained to a scheme's values (UnifTorchaoQuantizer, Int4UnifTorchaoQuantizer) by that scheme, the report a group;
   * `weightOnly` leaves activations as they are. Other groups keep the values that they were drawn to, as floats.
   */
  async torchaoConvert(model: Module, options: { readonly weightOnly?: boolean } = {}): Promise<QuantizeReport[]> {
    const { weightOnly = false } = options;
    const latent = this.#steps > this.#options.warmupSteps;
    const reports: QuantizeReport[] = [];
    for (const { params, quantizer, quantBits, quantBlockSize } of this.#groups) {
      const config = quantizer.config?.(quantBits, quantBlockSize, weightOnly);
      if (config === undefined) continue;
      const members = new Set<unknown>(params);
      noGrad(() => {
        if (latent) for (const p of params) copy_(p, this.#state.get(p)?.latent ?? p);
      });
      const filterFn = (m: Module): boolean => members.has((m as { weight?: unknown }).weight);
      reports.push(await quantize_(model, config, { filterFn }));
    }
    return reports;
  }

  /** The base optimizer's, beside torchao's `state.N.latent` and `state.N.quants`, `num_steps` and `cumu_lr.N`. Tensors are not copied. */
  stateDict(): Map<string, Tensor> {
    return new Map([...this.base.stateDict(), ...this.#own()]);
  }

  /** Writes a state dict into the state, in place. Names or shapes that differ throw ERR_AO_FORMAT before anything changes. */
  async loadStateDict(dict: ReadonlyMap<string, Tensor>): Promise<void> {
    this.initState();
    const own = this.#own();
    for (const [name, t] of own) {
      const given = dict.get(name);
      if (given?.numel === t.numel) continue;
      const problem =
        given === undefined ? 'is missing' : `has shape [${given.shape}], this optimizer needs [${t.shape}]`;
      throw new AoError('ERR_AO_FORMAT', `${name} ${problem}`, {
        tensor: name,
        fix: 'load what a QuantOptimizer of the same groups saved',
      });
    }
    await this.base.loadStateDict(new Map([...dict].filter(([name]) => !own.has(name))));
    for (const [name, t] of own) {
      const moved = await to(dict.get(name)!, t.device, t.rt);
      noGrad(() => scope(() => void copy_(t, reshape(moved, t.shape))));
      if (moved !== dict.get(name)) moved.dispose();
    }
    this.#steps = await this.#counter.item();
  }

  #own(): Map<string, Dense> {
    const found = new Map<string, Dense>([['num_steps', fill_(this.#counter, this.#steps) as Dense]]);
    for (const [i, { cumuLr }] of this.#groups.entries()) found.set(`cumu_lr.${i}`, cumuLr);
    for (const [i, p] of this.base.paramGroups.flatMap((g) => g.params).entries()) {
      for (const [key, t] of Object.entries(this.#state.get(p) ?? {})) found.set(`state.${i}.${key}`, t);
    }
    return found;
  }

  #stateOf(p: Tensor, group: Group): ParamState {
    const known = this.#state.get(p);
    if (known !== undefined) return known;
    const rows = rowCount(p, group, this.#options.quantPerChannel);
    const made = noGrad(() => ({
      latent: kept(clone(p) as Dense),
      quants: kept(zeros(p.rt, [rows, group.quantizer.levelCount(group.quantBits)], { device: p.device })),
    }));
    this.#state.set(p, made);
    return made;
  }

  #draw(group: Group, search: boolean): void {
    const { proxMap, quantPerChannel, quantShrink, annealWdFrac } = this.#options;
    const { quantizer, quantBits, base, cumuLr, initialWd } = group;
    scope(() => void copy_(cumuLr, add(cumuLr, reshape(base.lr, []))));
    for (const p of group.params) {
      if (!p.requiresGrad) continue;
      const { latent, quants } = this.#stateOf(p, group);
      copy_(latent, p);
      scope(() => {
        const values = cast(p, float32);
        const shrunk = quantShrink ? div(values, maximum(cumuLr, 1)) : values;
        const x = reshape(shrunk, [rowCount(p, group, quantPerChannel), -1]);
        const found = search ? quantizer.quantize(x, quantBits) : undefined;
        if (found !== undefined) copy_(quants, found.levels);
        copy_(p, reshape(proxMap.apply(x, found?.q, quants, this.#steps), p.shape));
      });
    }
    // as torchao: from the end of annealing on the decay stays where it is
    const slope = proxMap.inverseSlope?.(this.#steps) ?? 0;
    if (slope > 0 && annealWdFrac > 0) base.weightDecay = (slope * annealWdFrac + 1 - annealWdFrac) * initialWd;
  }
}

/** Rows of p that have values of their own. */
function rowCount(p: Tensor, { quantBlockSize }: QuantGroup, perChannel: boolean): number {
  if (!perChannel) return 1;
  if (quantBlockSize !== undefined) return p.numel / quantBlockSize;
  return p.ndim > 1 ? p.shape[0]! : 1;
}

function checkGroup({ params, quantBits, quantBlockSize }: QuantGroup, quantizer: Quantizer): void {
  if (!(Number.isInteger(quantBits) && quantBits >= 0 && quantBits < 16))
    throw configError(
      `quantBits ${quantBits}`,
      'give a whole number below 16; parameters of no group stay as they are',
    );
  quantizer.levelCount(quantBits);
  for (const { shape } of params)
    if (quantBlockSize !== undefined && shape[shape.length - 1]! % quantBlockSize !== 0)
      throw configError(
        `a parameter [${shape}] has no whole blocks of ${quantBlockSize}`,
        'take another quantBlockSize',
      );
}

function baseGroup({ paramGroups }: BaseOptimizer, { params }: QuantGroup): BaseOptimizer['paramGroups'][number] {
  const found = paramGroups.find((g) => params.every((p) => g.params.includes(p)));
  if (found !== undefined && params.length > 0) return found;
  throw configError(
    `${params.length} parameters of a quantized group are not in one group of the base optimizer`,
    'make both of the same parameters',
  );
}
