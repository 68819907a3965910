// observe(model, data, config): the scales and zero points of activations that a static config needs, from what a model's weights
// meet on calibration data. staticRules turns them into rules for quantize_ or fqnToConfig.
import { AoError, type Module, scope, type Tensor } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import type { Rule, Rules } from '../rules/rules.ts';
import { type ActivationQparams, withActivation } from './activation-of.ts';
import { observersIn, type PrepareOptions, prepareObservers, readObservers, removeObservers } from './prepare.ts';

export interface ObserveOptions<T> extends PrepareOptions {
  /** Runs one batch; by default `model.call(batch)`, or `model.call(...batch)` of an array. */
  readonly forward?: (batch: T) => unknown;
  /** After each batch; `total` is known where data has a length. */
  readonly onProgress?: (progress: {
    readonly phase: 'calibrate';
    readonly name: string;
    readonly loaded: number;
    readonly total: number | undefined;
  }) => void;
  /** Ends between batches; the model is as it was. */
  readonly signal?: AbortSignal | undefined;
}

/** What was seen of one weight's input. */
export interface ObservedActivation extends ActivationQparams {
  /** Names of the weight; several where it is shared. */
  readonly names: readonly string[];
  /** The static config that selected it, without scales. */
  readonly config: AoConfig;
}

export type ObservedActivations = ReadonlyMap<string, ObservedActivation>;

/**
 * Runs `data`, one batch after the other, and leaves the model as it was. Rejects with ERR_AO_CONFIG naming modules that met no
 * data, or data with NaN or infinity.
 */
export async function observe<T>(
  model: Module,
  data: AsyncIterable<T> | Iterable<T>,
  config: AoConfig | Rules,
  options: ObserveOptions<T> = {},
): Promise<ObservedActivations> {
  const { forward = (batch: T) => (Array.isArray(batch) ? model.call(...batch) : model.call(batch)) } = options;
  const { onProgress, signal } = options;
  signal?.throwIfAborted();
  const all = prepareObservers(model, config, options);
  try {
    const [anchor] = model.parameters() as [Tensor];
    const backend = anchor.rt.backend(anchor.device);
    const total = (data as { length?: number }).length;
    let loaded = 0;
    for await (const batch of data) {
      signal?.throwIfAborted();
      scope(() => void forward(batch));
      for (const observer of observersIn(all)) await observer.settle();
      await backend.sync();
      loaded += 1;
      onProgress?.({ phase: 'calibrate', name: 'observe', loaded, total });
    }
    if (loaded === 0) {
      throw new AoError('ERR_AO_CONFIG', 'the calibration data has no batch', {
        op: 'observe',
        fix: 'give an iterable of inputs; one that was iterated before may be spent',
      });
    }
    const found = await readObservers(all);
    return new Map(
      all.map(({ names, config: own }) => {
        const name = names[0] as string;
        return [name, { names, config: own, ...(found.get(name) as ActivationQparams) }];
      }),
    );
  } finally {
    removeObservers(model, all);
  }
}

/** Each observed weight's config with its own scale, as rules: `quantize_(model, staticRules(await observe(...)))`. */
export function staticRules(observed: ObservedActivations): Rules {
  return [...observed.values()].flatMap(({ names, config, ...qparams }) => {
    const own = withActivation(config, qparams);
    return names.map((name): Rule => [name, own]);
  });
}
