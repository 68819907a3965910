// What an algorithm is to calibrate(): which scheme weights get, and up to three steps, each optional but the last.
//   prepare   changes the model before any data (rotation)
//   scale     finds scales s of the columns that weights read together: W s meets x / s (AWQ, SmoothQuant)
//   round     makes the quantized weight, with what was seen of its input where it asks for that (GPTQ)
//   roundBlock, in the place of round: makes all weights of a block, which it runs as often as it wants (AutoRound)
// Algorithms that take another as their base run its later steps after their own: rotate(gptq(config)), awq(gptq(config)).
import type { Dense, Module, Tensor } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import type { TensorPlan } from '../quantize/trait.ts';
import type { Rules } from '../rules/rules.ts';
import type { Online } from './rotate.ts';
import type { ObservedInput } from './statistics.ts';
import type { ModelStructure } from './structure.ts';

/** A weight on its way: plain and dense, [N, K]. */
export interface CalibratedWeight {
  readonly fqn: string;
  readonly weight: Dense;
  readonly config: AoConfig;
  readonly plan: TensorPlan;
}

export interface ScaleTask {
  /** Weights that read the same input. */
  readonly weights: readonly CalibratedWeight[];
  readonly input: ObservedInput;
  /** Columns with equal numbers must get equal scales; absent: each its own. */
  readonly shared?: Int32Array;
}

export interface RoundTask extends CalibratedWeight {
  /** null where the algorithm asked for no data. */
  readonly input: ObservedInput | null;
  readonly signal?: AbortSignal | undefined;
}

export interface BlockTask {
  /** Weights of the block that the data reaches. */
  readonly weights: readonly CalibratedWeight[];
  /** Batches that there are. */
  readonly batches: number;
  /**
   * Runs the block on batch i as it meets it, with `values` in the places of its weights (floats of the weights' shapes; absent: the
   * weights as they are), and shows what comes out to `see`. What is recorded for gradients lives until `see` returns.
   */
  run(i: number, values: readonly Tensor[] | undefined, see: (output: Tensor) => void): void;
  /** Waits until all that was run is done. */
  sync(): Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

export interface CalibrationAlgorithm {
  readonly name: string;
  /** The scheme of each weight, as quantize_ takes it. */
  readonly config: AoConfig | Rules | null;
  /** What files are to say that the weights are quantized with, where that is not `config`. */
  readonly files?: AoConfig;
  /** `online`: linears by name whose inputs are to be rotated at each call. */
  prepare?(model: Module, structure: ModelStructure | undefined): Promise<{ readonly online?: Online } | undefined>;
  /** One scale a column, or null to leave the weights. */
  scale?(task: ScaleTask): Promise<Float64Array | null>;
  /** What `scale` reads of inputs, besides their ranges. */
  readonly scaleNeeds?: 'gram';
  /** What `round` reads: nothing, ranges, or the Gram matrix too. */
  readonly roundNeeds?: 'range' | 'gram';
  /** Weights are rounded one input after the other, each seeing what those before it in the layer became. */
  readonly sequential?: boolean;
  round(task: RoundTask): Promise<Tensor>;
  /** The quantized weights in the order of the task. What lies outside a list of blocks is a block of its own, whose output is the model's. */
  roundBlock?(task: BlockTask): Promise<readonly Tensor[]>;
}

/** Whether an algorithm looks at calibration data at all. */
export const readsData = ({ scale, roundNeeds, roundBlock }: CalibrationAlgorithm): boolean =>
  scale !== undefined || roundNeeds !== undefined || roundBlock !== undefined;

export const isAlgorithm = (value: unknown): value is CalibrationAlgorithm =>
  typeof (value as CalibrationAlgorithm | null)?.round === 'function';

/** A config as the algorithm that rounds to nearest, by the scheme's own rule; an algorithm as it is. */
export function baseAlgorithm(base: CalibrationAlgorithm | AoConfig | Rules): CalibrationAlgorithm {
  if (isAlgorithm(base)) return base;
  return { name: 'rtn', config: base, round: async ({ plan, weight }) => plan.quantize(weight) };
}
