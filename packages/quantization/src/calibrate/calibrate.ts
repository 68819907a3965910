// calibrate(model, data, algorithm): quantizes a model in place by what its weights meet on calibration data. Layer by layer: a
// layer sees what the layers before it became, so that errors are made up for and not added up. Within a layer, weights that read
// one input are scaled, then rounded, together. Any model works; what a family declares (ModelStructure) lets scales move into
// norms and linears instead of staying with the weight.
import {
  AoError,
  cast,
  type Dense,
  dequantize,
  float32,
  isWrapped,
  type Module,
  packWeight,
  prepare,
  replaceTensor,
  scope,
  type Tensor,
  tensor,
  unpackedOf,
  Wrapped,
} from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { swapTensors } from '../observe/swap-tensors.ts';
import { modelBytes, tensorBytes } from '../quantize/bytes.ts';
import { decibels, errorNorms } from '../quantize/compute-error.ts';
import { preflight } from '../quantize/preflight.ts';
import { leftRow, madeRow, rowBase, runtimeOf } from '../quantize/quantize.ts';
import type { QuantizeReport, QuantizeRow } from '../quantize/report.ts';
import { type Decision, type FilterFn, selectWeights } from '../quantize/select.ts';
import { isProblem, type TensorPlan } from '../quantize/trait.ts';
import type { Rules } from '../rules/rules.ts';
import { type CalibrationAlgorithm, readsData } from './algorithm.ts';
import { Feed } from './feed.ts';
import { canFold, foldInverse, replaceValues, scaleColumns, weightOfModule } from './fold.ts';
import { type Observable, observeStages, type Sharers, type Stage, stagesOf, standIn } from './observation.ts';
import { blocksOf, Passage } from './passage.ts';
import { rotatedTensor } from './rotated-tensor.ts';
import { type Rotation, rotated } from './rotation.ts';
import type { ObservedInput, Statistics } from './statistics.ts';
import type { Fold, ModelStructure } from './structure.ts';

export interface CalibrateOptions<T> {
  /** Runs one batch; by default `model.call(batch)`, or `model.call(...batch)` of an array. */
  readonly forward?: (batch: T) => unknown;
  /** How the model's weights meet; without it scales stay with weights, and rotations are refused. */
  readonly structure?: ModelStructure | undefined;
  /** Rules that come before the algorithm's config, as in quantize_. */
  readonly rules?: Rules;
  readonly filterFn?: FilterFn;
  readonly onUnsupported?: 'error' | 'skip';
  /** Measure the SQNR of each weight (default). */
  readonly sqnr?: boolean;
  /** After each weight. */
  readonly onProgress?: (progress: {
    readonly phase: 'calibrate';
    readonly name: string;
    readonly loaded: number;
    readonly total: number;
  }) => void;
  /** Ends between batches or weights; the weights that are done by then stay quantized, the rest is as it was. */
  readonly signal?: AbortSignal | undefined;
}

export interface CalibrationReport extends QuantizeReport {
  readonly algorithm: string;
  /** Batches that were read. */
  readonly batches: number;
}

interface Target extends Observable {
  readonly decision: Decision;
  readonly config: AoConfig;
  readonly plan: TensorPlan;
  note?: string;
}

/**
 * Quantizes a model in place. `data` is read once and kept (tensors in it must live that long). Throws ERR_AO_CONFIG, nothing
 * changed, where a weight cannot have its scheme, and later where inputs hold NaN or infinity.
 */
export async function calibrate<T>(
  model: Module,
  data: AsyncIterable<T> | Iterable<T>,
  algorithm: CalibrationAlgorithm,
  options: CalibrateOptions<T> = {},
): Promise<CalibrationReport> {
  const rt = runtimeOf(model.named());
  if (!rt.kinds.has('observed')) {
    throw new AoError('ERR_AO_CONFIG', 'the runtime cannot observe inputs', {
      op: 'calibrate',
      fix: "add quantization() from '@ao/quantization' to createRuntime({ use })",
    });
  }
  const { structure, rules = [], filterFn, onUnsupported = 'error', signal } = options;
  const choose = () => selectWeights(model, algorithm.config, rules, filterFn);
  preflight(rt, choose().decisions, onUnsupported === 'skip');
  const bytesBefore = modelBytes(model);
  const { online } = (await algorithm.prepare?.(model, structure)) ?? {};
  const { decisions, unusedRules } = choose();
  const plans = preflight(rt, decisions, onUnsupported === 'skip');
  const rows = new Map<Decision, QuantizeRow>();
  const targets: Target[] = [];
  for (const d of decisions) {
    const plan = plans.get(d);
    if (d.config === null || plan === undefined) rows.set(d, leftRow(d, d.weight, d.skipped ?? 'no rule matches'));
    else if (isProblem(plan)) rows.set(d, leftRow(d, d.weight, `${plan.problem}; ${plan.fix}`));
    else targets.push({ fqn: d.names[0] as string, weight: d.weight, decision: d, config: d.config, plan });
  }
  for (const t of targets) {
    const rotation = online?.get(moduleName(t.fqn));
    if (rotation === undefined) continue;
    t.rotation = rotation;
    t.weight = replaceValues(model, t.weight, await turnedValues(t.weight, rotation));
  }
  const feed = new Feed(data);
  const work = new Work(model, algorithm, options, feed, targets, rows);
  try {
    await work.run();
  } finally {
    work.dispose();
    await feed.close();
  }
  signal?.throwIfAborted();
  await prepare(model);
  return {
    algorithm: algorithm.name,
    batches: feed.count,
    rows: decisions.map((d) => rows.get(d) as QuantizeRow),
    bytesBefore,
    bytesAfter: modelBytes(model),
    unusedRules,
    dryRun: false,
  };
}

const moduleName = (fqn: string): string => fqn.replace(/\.[^.]+$/, '');

async function turnedValues(weight: Tensor, rotation: Rotation): Promise<Float32Array> {
  const turned = scope(() => rotated(cast(dequantize(unpackedOf(weight)), float32), rotation));
  const values = Float32Array.from(await turned.data());
  turned.dispose();
  return values;
}

class Work<T> {
  readonly #model: Module;
  readonly #algorithm: CalibrationAlgorithm;
  readonly #options: CalibrateOptions<T>;
  readonly #targets: readonly Target[];
  readonly #rows: Map<Decision, QuantizeRow>;
  readonly #blocks: ReturnType<typeof blocksOf>;
  readonly #passage: Passage<T>;
  readonly #done = new Set<Target>();

  constructor(
    model: Module,
    algorithm: CalibrationAlgorithm,
    options: CalibrateOptions<T>,
    feed: Feed<T>,
    targets: readonly Target[],
    rows: Map<Decision, QuantizeRow>,
  ) {
    this.#model = model;
    this.#algorithm = algorithm;
    this.#options = options;
    this.#targets = targets;
    this.#rows = rows;
    this.#blocks = blocksOf(
      model,
      targets.map((t) => t.fqn),
    );
    const forward =
      options.forward ?? ((batch: T) => (Array.isArray(batch) ? model.call(...batch) : model.call(batch)));
    const [anchor] = model.parameters() as [Tensor];
    const modules = this.#blocks.map((b) => b.module);
    this.#passage = new Passage(anchor.rt.backend(anchor.device), modules, feed, forward, options.signal);
  }

  async run(): Promise<void> {
    const { scale } = this.#algorithm;
    const reads = this.#targets.length > 0 && readsData(this.#algorithm);
    if (reads) await this.#passage.probe();
    for (const { path } of [...this.#blocks, { path: null }]) {
      const left = this.#targets.filter((t) => !this.#done.has(t));
      const own = left.filter((t) => path === null || t.fqn.startsWith(`${path}.`));
      if (own.length > 0 && scale !== undefined) await this.#scale(own);
      if (own.length > 0) await this.#round(own);
      if (reads && path !== null && left.length > own.length) await this.#passage.advance();
    }
  }

  dispose(): void {
    this.#passage.dispose();
  }

  /** Finds scales of all inputs of a block, and applies them. */
  async #scale(own: readonly Target[]): Promise<void> {
    const stages = await stagesOf(this.#model, own, this.#passage);
    const needs = this.#algorithm.scaleNeeds === 'gram';
    const inputs = await observeStages(this.#model, stages, this.#passage, needs);
    await this.#each(inputs, async (sharers, input) => {
      if (input.rows > 0) await this.#scaleSharers(sharers, input);
    });
  }

  async #scaleSharers(sharers: Sharers<Target>, input: ObservedInput): Promise<void> {
    const fold = this.#foldOf(sharers);
    if (fold === undefined && !sharers.every((t) => this.#takesScale(t))) {
      for (const t of sharers) t.note = `not scaled: no structure to fold into, and ${t.plan.scheme} holds no scale`;
      return;
    }
    const columns = (sharers[0] as Target).weight.shape[1] as number;
    const shared = fold?.row && Int32Array.from({ length: columns }, (_, c) => fold.row?.(c) as number);
    const weights = sharers.map((t) => ({ ...t, weight: unpackedOf(t.weight) as Dense }));
    const s = await this.#algorithm.scale?.({ weights, input, ...(shared && { shared }) });
    if (s == null) return;
    for (const old of new Set([
      ...sharers.map((t) => t.weight),
      ...(fold?.readers ?? []).map((name) => weightOfModule(this.#model, name)),
    ])) {
      this.#renew(old, await scaleColumns(this.#model, old, s));
    }
    if (fold === undefined) {
      const [{ weight }] = sharers as [Target];
      const { rt, device } = weight;
      for (const t of sharers)
        t.preScale = tensor(
          rt,
          Float32Array.from(s, (v) => 1 / v),
          { device },
        );
      return;
    }
    const before = fold.linear === undefined ? undefined : weightOfModule(this.#model, fold.linear);
    await foldInverse(this.#model, fold, s);
    if (before !== undefined) this.#renew(before, weightOfModule(this.#model, fold.linear as string));
  }

  /** A weight was replaced by another tensor. */
  #renew(old: Tensor, now: Tensor): void {
    for (const t of this.#targets) if (t.weight === old) t.weight = now;
  }

  /** Where the scale of an input can go: nothing but these weights reads it. */
  #foldOf(sharers: Sharers<Target>): Fold | undefined {
    if (sharers.some((t) => t.rotation !== undefined)) return undefined;
    const modules = sharers.map((t) => moduleName(t.fqn));
    return this.#options.structure?.folds.find(
      (fold) => modules.every((m) => fold.readers.includes(m)) && canFold(this.#model, fold),
    );
  }

  #takesScale({ weight, plan }: Target): boolean {
    return scope(() => {
      const made = plan.quantize(unpackedOf(weight) as Dense);
      return isWrapped(made) && made.kind.partNames.includes('act_pre_scale');
    });
  }

  async #round(own: readonly Target[]): Promise<void> {
    const { roundNeeds, roundBlock, sequential = false } = this.#algorithm;
    if (roundBlock !== undefined) await this.#roundTogether(own);
    else if (roundNeeds !== undefined) {
      const stages = await stagesOf(this.#model, own, this.#passage);
      const together = sequential ? stages.map((s) => [s]) : [stages];
      for (const some of together) await this.#roundStages(some, roundNeeds === 'gram');
    }
    for (const t of own) {
      if (this.#done.has(t)) continue;
      const reads = roundNeeds !== undefined || roundBlock !== undefined;
      if (reads) t.note = 'rounded to nearest: the calibration data does not reach it';
      await this.#finish(t, null, reads ? scope(() => t.plan.quantize(unpackedOf(t.weight) as Dense)) : undefined);
    }
  }

  /** All weights of a block at once. */
  async #roundTogether(own: readonly Target[]): Promise<void> {
    const { signal } = this.#options;
    const [model, passage] = [this.#model, this.#passage];
    const stages = await stagesOf(model, own, passage);
    const reached = stages.flatMap((s) => s.sharers.flat());
    if (reached.length === 0) return;
    const batches = await passage.read();
    const weights = reached.map((t) => ({ ...t, weight: unpackedOf(t.weight) as Dense }));
    const run = (i: number, values: readonly Tensor[] | undefined, see: (output: Tensor) => void): void => {
      const places = reached.map((t, w) => [t.weight, standIn(t, values?.[w] ?? t.weight)] as const);
      swapTensors(model, new Map(places));
      try {
        passage.through(i, see);
      } finally {
        swapTensors(model, new Map(places.map(([own, other]) => [other, own])));
      }
    };
    const task = { weights, batches, run, sync: () => passage.sync(), signal };
    const made = await (this.#algorithm.roundBlock as NonNullable<CalibrationAlgorithm['roundBlock']>)(task);
    for (const [i, { weight }] of weights.entries()) if (weight !== reached[i]?.weight) weight.dispose();
    for (const [i, t] of reached.entries()) await this.#finish(t, null, made[i]);
  }

  async #roundStages(stages: readonly Stage<Target>[], gram: boolean): Promise<void> {
    const inputs = await observeStages(this.#model, stages, this.#passage, gram);
    await this.#each(inputs, async (sharers, input) => {
      if (input.rows > 0) for (const t of sharers) await this.#finish(t, input);
    });
  }

  async #each(
    inputs: ReadonlyMap<Sharers<Target>, Statistics>,
    use: (sharers: Sharers<Target>, input: ObservedInput) => Promise<void>,
  ): Promise<void> {
    try {
      for (const [sharers, statistics] of inputs) {
        this.#options.signal?.throwIfAborted();
        await use(sharers, await statistics.read((sharers[0] as Target).fqn));
        statistics.dispose();
      }
    } finally {
      for (const statistics of inputs.values()) statistics.dispose();
    }
  }

  /** Rounds (unless it is `already`), measures, replaces and packs one weight. */
  async #finish(t: Target, input: ObservedInput | null, already?: Tensor): Promise<void> {
    const { signal, sqnr = true, onProgress } = this.#options;
    signal?.throwIfAborted();
    const { fqn, plan, config, decision, note } = t;
    const base = rowBase(decision, t.weight);
    const before = tensorBytes(decision.weight.disposed ? t.weight : decision.weight);
    const weight = unpackedOf(t.weight) as Dense;
    const rounded = already ?? (await this.#algorithm.round({ fqn, weight, plan, config, input, signal }));
    const norms = sqnr ? errorNorms(weight, rounded) : null;
    let made = t.preScale === undefined ? rounded : withPreScale(rounded as Wrapped, t.preScale);
    packWeight(made.rt, made);
    if (t.rotation !== undefined) made = rotatedTensor(made, t.rotation);
    if (weight !== t.weight) weight.dispose();
    replaceTensor(this.#model, t.weight, made);
    t.weight = made;
    const row = madeRow(base, plan, before, tensorBytes(made), norms && (await decibels(norms)));
    this.#rows.set(decision, note === undefined ? row : { ...row, note });
    this.#done.add(t);
    onProgress?.({ phase: 'calibrate', name: fqn, loaded: this.#done.size, total: this.#targets.length });
  }
}

/** The same tensor, which multiplies its input by `scale` first. */
function withPreScale(t: Wrapped, scale: Tensor): Wrapped {
  return new Wrapped(t.rt, t.kind, { ...t.parts, act_pre_scale: scale }, t.attrs, t.shape, t.dtype);
}
