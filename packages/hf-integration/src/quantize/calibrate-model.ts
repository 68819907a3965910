// calibrateModel(model, windows, algorithm): @ao/quantization's calibrate on a causal language model, whose data are windows of token
// ids: the weights that a loader would quantize, with what the family tells about their structure.
import { AoError, arange, cast, int32, keep, replaceTensor, scope, type Tensor, tensor } from '@ao/core';
import {
  type AoConfig,
  type CalibrateOptions,
  type CalibrationAlgorithm,
  type CalibrationReport,
  calibrate,
  type Rules,
} from '@ao/quantization';
import type { CausalLM } from '../models/causal-lm.ts';
import { familyOf, moduleOf, type Outline } from '../models/family.ts';
import { UpcastTensor } from '../upcast.ts';
import { planQuantization } from './plan.ts';
import { rulesConfig } from './rules.ts';
import { type TorchAoConfig, torchAoConfig } from './torchao-config.ts';

export type CalibrateModelOptions = Omit<
  CalibrateOptions<readonly number[]>,
  'forward' | 'rules' | 'filterFn' | 'structure'
> & {
  /** Most tokens of a window. Default 512, at most the model's positions. */
  readonly window?: number;
  /** Which weights stay, and whether a tied head is untied; default: what fromPretrained does with the algorithm's config. */
  readonly quantizationConfig?: TorchAoConfig;
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
  const { window = Math.min(512, model.maxPositions), quantizationConfig, ...rest } = options;
  await widen(model);
  const { structure } = model;
  if (quantizationConfig?.untieEmbeddingWeights) structure?.untie?.();
  const asked = askedFor(model, algorithm, quantizationConfig);
  const report = await calibrate(model, windows, asked === undefined ? algorithm : planned(model, algorithm, asked), {
    ...(structure && { structure }),
    ...rest,
    forward: (ids) => forward(model, ids, window),
  });
  if (model.origin && asked) {
    const quantType = algorithm.files ?? asked.quantType;
    model.origin = { ...model.origin, quantization: { ...asked, quantType } };
  }
  return report;
}

/** Without a cache, so that gradients flow through. */
function forward(model: CausalLM, ids: readonly number[], window: number): Tensor {
  if (ids.length > window || ids.length === 0) {
    throw new AoError('ERR_AO_CONFIG', `a calibration window of ${ids.length} tokens, where at most ${window} fit`, {
      op: 'calibrate',
      fix: 'cut the ids with windowsOf(ids, size), or give { window }',
    });
  }
  const { rt, device } = model;
  const positions = arange(rt, 0, ids.length, 1, { device });
  const x = tensor(rt, Int32Array.from(ids), { shape: [1, ids.length], dtype: int32, device });
  return model.forward(x, { positions });
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

const outlineOfModel = ({ origin }: CausalLM): Outline | undefined =>
  origin && familyOf(origin.config, 'AutoModelForCausalLM').outline(origin.config);

/** What files will say; undefined for a model that came from no file, whose linears are all taken. */
function askedFor(
  model: CausalLM,
  { config }: CalibrationAlgorithm,
  given: TorchAoConfig | undefined,
): TorchAoConfig | undefined {
  const outline = outlineOfModel(model);
  if (outline === undefined || config === null) return undefined;
  const quantType = Array.isArray(config) ? rulesConfig(config as Rules, null, outline).config : (config as AoConfig);
  return given ? { ...given, quantType } : torchAoConfig(quantType);
}

/** The algorithm on exactly the weights that a loader would quantize. */
function planned(model: CausalLM, algorithm: CalibrationAlgorithm, asked: TorchAoConfig): CalibrationAlgorithm {
  const { parameters, unusedRules } = planQuantization(outlineOfModel(model)!, asked);
  for (const rule of unusedRules) {
    model.rt.say({ level: 'warn', code: 'unused-rule', message: `quantization rule '${rule}' matches nothing` }, rule);
  }
  const rules = parameters.filter((p) => p.config !== null).map((p) => [moduleOf(p.parameter.name), p.config] as const);
  return { ...algorithm, config: rules };
}
