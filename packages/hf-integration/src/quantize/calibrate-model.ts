// calibrateModel(model, windows, algorithm): @ao/quantization's calibrate on a causal language model, whose data are windows of token
// ids: the weights that a loader would quantize, with what the family tells about their structure.
import { AoError, arange, cast, int32, keep, replaceTensor, scope, type Tensor, tensor } from '@ao/core';
import {
  type AoConfig,
  type CalibrateOptions,
  type CalibrationAlgorithm,
  type CalibrationReport,
  calibrate,
  type FilterFn,
  isLinear,
  type Rules,
} from '@ao/quantization';
import { familyOf, type Outline } from '../models/family.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { StaticCache } from '../models/kv-cache.ts';
import { UpcastTensor } from '../upcast.ts';
import { planQuantization } from './plan.ts';
import { rulesConfig } from './rules.ts';
import { type TorchAoConfig, torchAoConfig } from './torchao-config.ts';

export type CalibrateModelOptions = Omit<CalibrateOptions<readonly number[]>, 'forward' | 'rules'> & {
  /** Most tokens of a window. Default 512, at most the model's positions. */
  readonly window?: number;
};

/** Ids cut into windows of `size`, the last one only if it is whole; at most `most` of them. */
export function windowsOf(ids: readonly number[], size: number, most = Number.POSITIVE_INFINITY): number[][] {
  const count = Math.min(Math.floor(ids.length / size), most);
  return Array.from({ length: count }, (_, i) => ids.slice(i * size, (i + 1) * size));
}

/**
 * Quantizes a model in place, as calibrate does. The model computes in its own dtype: load it in float32. What it is quantized
 * with is kept for savePretrained.
 */
export async function calibrateModel(
  model: CausalLM,
  windows: AsyncIterable<readonly number[]> | Iterable<readonly number[]>,
  algorithm: CalibrationAlgorithm,
  options: CalibrateModelOptions = {},
): Promise<CalibrationReport> {
  const { window = Math.min(512, model.maxPositions), ...rest } = options;
  await widen(model);
  const filterFn = rest.filterFn ?? defaultFilter(model, algorithm);
  const cache = model.createCache(window);
  const structure = model.structure;
  try {
    const report = await calibrate(model, windows, algorithm, {
      ...(structure && { structure }),
      ...rest,
      ...(filterFn && { filterFn }),
      forward: (ids) => forward(model, cache, ids, window),
    });
    remember(model, algorithm);
    return report;
  } finally {
    cache.dispose();
  }
}

function forward(model: CausalLM, cache: StaticCache, ids: readonly number[], window: number): Tensor {
  if (ids.length > window || ids.length === 0) {
    throw new AoError('ERR_AO_CONFIG', `a calibration window of ${ids.length} tokens, where at most ${window} fit`, {
      op: 'calibrate',
      fix: 'cut the ids with windowsOf(ids, size), or give { window }',
    });
  }
  const { rt, device } = model;
  const positions = arange(rt, 0, ids.length, 1, { device });
  const x = tensor(rt, Int32Array.from(ids), { shape: [1, ids.length], dtype: int32, device });
  return model.forward(x, { cache, positions });
}

/** Weights that wait in a narrower dtype than the model computes in become floats of that one, which calibration can change. */
export async function widen(model: CausalLM): Promise<void> {
  for (const [, t] of [...model.namedParameters()]) {
    if (!UpcastTensor.is(t)) continue;
    const code = t.parts['code'] as Tensor;
    replaceTensor(model, t, keep(scope(() => cast(code, t.dtype))));
    await model.rt.backend(model.device).sync();
  }
}

const isOne = (config: AoConfig | Rules | null): config is AoConfig =>
  config !== null && !Array.isArray(config) && (config as AoConfig).type !== 'FqnToConfig';

function outlineOfModel(model: CausalLM): Outline | undefined {
  return model.origin && familyOf(model.origin.config, 'AutoModelForCausalLM').outline(model.origin.config);
}

/** One config is for what a loader would give it to: every linear but the head and routers. */
function defaultFilter(model: CausalLM, { config }: CalibrationAlgorithm): FilterFn | undefined {
  const outline = outlineOfModel(model);
  if (!isOne(config)) return undefined;
  if (outline === undefined) return isLinear;
  const plan = planQuantization(outline, torchAoConfig(config));
  const taken = new Set(plan.parameters.filter((p) => p.config !== null).map((p) => p.parameter.name));
  return (_, fqn) => taken.has(`${fqn}.weight`);
}

function remember(model: CausalLM, algorithm: CalibrationAlgorithm): void {
  const files = algorithm.files ?? algorithm.config;
  const outline = outlineOfModel(model);
  if (model.origin === undefined || outline === undefined || files === null) return;
  const quantization: TorchAoConfig = torchAoConfig(
    Array.isArray(files) ? rulesConfig(files as Rules, null, outline).config : (files as AoConfig),
  );
  model.origin = { ...model.origin, quantization };
}
