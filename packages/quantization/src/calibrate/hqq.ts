// HQQ as an algorithm: the same schemes, with scales and zero points found by half-quadratic optimisation of the weight alone
// (int4), or scales by least squares (integer zero points). Needs no data.
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import type { FqnToConfig } from '../config/fqn-to-config.ts';
import { fqnToConfig } from '../config/fqn-to-config.ts';
import { baseAlgorithm, type CalibrationAlgorithm } from './algorithm.ts';

const OF_TYPE: Readonly<Record<string, object>> = {
  Int4WeightOnlyConfig: { int4ChooseQparamsAlgorithm: 'HQQ' },
  PrototypeInt4WeightOnlyConfig: { int4ChooseQparamsAlgorithm: 'HQQ' },
  IntxWeightOnlyConfig: { intxChooseQparamsAlgorithm: 'HQQ_SCALE_ONLY', mappingType: 'SYMMETRIC' },
  Int8DynamicActivationIntxWeightConfig: {
    intxChooseQparamsAlgorithm: 'HQQ_SCALE_ONLY',
    weightMappingType: 'SYMMETRIC',
  },
};

/** A config with its parameters chosen by HQQ, fqnToConfig entry by entry; throws ERR_AO_CONFIG where the scheme has no such form. */
export function withHqq(config: AoConfig): AoConfig {
  if (config.type === 'FqnToConfig') {
    const entries = [...(config as FqnToConfig).fqnToConfig];
    return fqnToConfig(new Map(entries.map(([name, c]) => [name, c === null ? null : withHqq(c)])));
  }
  const change = OF_TYPE[config.type];
  if (change !== undefined) return Object.freeze({ ...config, ...change });
  throw configError(`HQQ has no form of ${config.type}`, 'use int4WeightOnly, intxWeightOnly or 8da4w, e.g. int4wo-64');
}

/** Rounds by HQQ's parameters; gptq(withHqq(config)) puts GPTQ on top. */
export const hqq = (config: AoConfig): CalibrationAlgorithm => ({ ...baseAlgorithm(withHqq(config)), name: 'hqq' });
