// parallelize: linears of a model are cut over ranks, by columns or rows of torch's nn.Linear (rows or columns of its weight [N, K]).
import {
  AoError,
  clone,
  getModule,
  isTensor,
  keep,
  type Module,
  replaceTensor,
  scope,
  setParameter,
  slice,
  type Tensor,
  unpackedOf,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import type { ProcessGroup } from '../process-group.ts';
import { markShard } from '../sharded/fully-shard.ts';
import { type ParallelAttrs, parallelKind } from './parallel-tensor.ts';

export type ParallelStyle = Omit<ParallelAttrs, 'group'>;

/** torch's ColwiseParallel: outputs are cut; 'replicate' gathers them. */
export const ColwiseParallel = (options: { readonly outputLayouts?: 'shard' | 'replicate' } = {}): ParallelStyle => ({
  split: 'columnwise',
  ...(options.outputLayouts === 'replicate' && { gatherOutput: true }),
});

/** torch's RowwiseParallel: takes what a columnwise linear gives ('shard'), or whole inputs ('replicate'), and sums over ranks. */
export const RowwiseParallel = (options: { readonly inputLayouts?: 'shard' | 'replicate' } = {}): ParallelStyle => ({
  split: 'rowwise',
  ...(options.inputLayouts === 'replicate' && { splitInput: true }),
});

/** Names as in transformers' base_model_tp_plan. */
const NAMED: Readonly<Record<string, ParallelStyle>> = {
  colwise: { split: 'columnwise' },
  colwise_rep: { split: 'columnwise', gatherOutput: true },
  rowwise: { split: 'rowwise' },
  rowwise_rep: { split: 'rowwise', splitInput: true },
};

/** Modules by name, where `*` is one part of it: { 'model.layers.*.mlp.up_proj': ColwiseParallel() }; styles also as in transformers' plans. */
export type ParallelPlan = Readonly<Record<string, ParallelStyle | keyof typeof NAMED>>;

/** The plan of decoders with separate projections: Llama, Mistral, Qwen and others. */
export const decoderPlan: ParallelPlan = {
  'model.layers.*.self_attn.q_proj': 'colwise',
  'model.layers.*.self_attn.k_proj': 'colwise',
  'model.layers.*.self_attn.v_proj': 'colwise',
  'model.layers.*.self_attn.o_proj': 'rowwise',
  'model.layers.*.mlp.gate_proj': 'colwise',
  'model.layers.*.mlp.up_proj': 'colwise',
  'model.layers.*.mlp.down_proj': 'rowwise',
};

const bad = (module: string, problem: string, fix: string): AoError =>
  new AoError('ERR_AO_CONFIG', problem, { op: 'parallelize', module, fix });

const matches = (pattern: string, name: string): boolean => {
  const [a, b] = [pattern.split('.'), name.split('.')];
  return a.length === b.length && a.every((part, i) => part === '*' || part === b[i]);
};

interface Found {
  readonly name: string;
  readonly module: Module & { readonly weight: Tensor; readonly bias?: Tensor };
  readonly style: ParallelStyle;
}

/** Every module that the plan names; throws before any work where one cannot be cut. */
function find(model: Module, plan: ParallelPlan, { size }: ProcessGroup): Found[] {
  const names = [...model.namedModules()].map(([name]) => name);
  return Object.entries(plan).flatMap(([pattern, given]) => {
    const style = typeof given === 'string' ? NAMED[given] : given;
    if (style === undefined) throw bad(pattern, `the style '${String(given)}'`, `use ${Object.keys(NAMED).join(', ')}`);
    const hits = names.filter((name) => matches(pattern, name));
    if (hits.length === 0) throw bad(pattern, 'no module has this name', 'list names with namedModules()');
    return hits.map((name) => {
      const module = getModule(model, name) as Found['module'];
      const { weight } = module;
      if (!isTensor(weight) || weight.ndim !== 2 || parallelKind.is(weight))
        throw bad(name, 'it has no whole weight [N, K]', 'name linears, once');
      const n = weight.shape[style.split === 'columnwise' ? 0 : 1]!;
      if (n % size !== 0)
        throw bad(
          name,
          `${n} ${style.split === 'columnwise' ? 'rows' : 'columns'} of its weight over ${size} ranks`,
          'use a number of ranks that divides it',
        );
      return { name, module, style };
    });
  });
}

/** This rank's part of t along a dimension, of the same kind; a kind says by its `slice` where it can be cut. */
function part(t: Tensor, dim: number, { rank, size }: ProcessGroup): Tensor {
  const n = t.shape[dim]! / size;
  return scope(() => clone(slice(t.packed === null ? t : unpackedOf(t), dim, rank * n, (rank + 1) * n)));
}

/**
 * torch's parallelize_module: cuts the linears that the plan names, of any kind that has `slice`, and returns their names. Every rank gives the same
 * model with equal values; call prepare(model) afterwards. Throws ERR_AO_CONFIG, or the kind's error where groups of codes would be cut, naming the module.
 */
export function parallelize(model: Module, plan: ParallelPlan, group: ProcessGroup): string[] {
  const found = find(model, plan, group);
  return noGrad(() => {
    const parts = found.map(({ name, module: { weight }, style }) => {
      try {
        return part(weight, style.split === 'columnwise' ? 0 : 1, group);
      } catch (error) {
        throw bad(
          name,
          `its weight cannot be cut over ${group.size} ranks: ${(error as Error).message}`,
          'use another group size or number of ranks, or leave it out of the plan',
        );
      }
    });
    for (const [i, { name, module, style }] of found.entries()) {
      const { weight, bias } = module;
      const own = keep(parts[i]!);
      own.guard();
      const trains = weight.requiresGrad;
      const made = parallelKind.make({ weight: own }, { ...style, group }, own.shape, own.dtype);
      replaceTensor(model, weight, made);
      if (trains) markShard(own).requiresGrad = true;
      if (bias === undefined || style.split === 'rowwise') continue;
      const cut = keep(part(bias, 0, group));
      if (bias.requiresGrad) markShard(cut).requiresGrad = true;
      setParameter(model, name === '' ? 'bias' : `${name}.bias`, cut);
    }
    return found.map(({ name }) => name);
  });
}
