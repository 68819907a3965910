// What a static config says of its activation: dtype, granularity, mapping. Any config with an `actQuantScale` is static.
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import { type Granularity, perTensor } from '../config/granularity.ts';
import type { NumberList } from '../config/int8-static-activation-int8-weight.ts';
import type { ObserverOptions } from './observer.ts';

/** The fields that static configs have, each or some. */
interface StaticFields {
  readonly actQuantScale: NumberList | null;
  readonly actQuantZeroPoint?: NumberList | null;
  readonly activationDtype?: string;
  readonly actMappingType?: 'SYMMETRIC' | 'ASYMMETRIC';
  readonly granularity?: Granularity | readonly Granularity[] | null;
  readonly reduceRange?: boolean;
  readonly quantizeAndDequantizeOutput?: boolean;
}
export type StaticConfig = AoConfig & StaticFields;

export const isStaticConfig = (config: unknown): config is StaticConfig =>
  typeof config === 'object' && config !== null && 'actQuantScale' in config;

/** True where outputs are rounded too, and their scale is not known. */
export const wantsOutput = (config: AoConfig): boolean =>
  (config as unknown as StaticFields).quantizeAndDequantizeOutput === true;

/** Throws ERR_AO_CONFIG for a config without static activations. */
export function activationOf(config: AoConfig): ObserverOptions {
  if (!isStaticConfig(config)) {
    throw configError(
      `${config.type} has no scale of activations that data could give`,
      'use int8StaticActivationInt8Weight() or another config with actQuantScale',
    );
  }
  const { activationDtype = 'int8', actMappingType: mappingType = 'SYMMETRIC', granularity, reduceRange } = config;
  const [act] = Array.isArray(granularity)
    ? (granularity as readonly Granularity[])
    : [granularity as Granularity | null];
  return {
    mappingType,
    targetDtype: activationDtype,
    granularity: act ?? perTensor(),
    ...(reduceRange && { quantMin: -64, quantMax: 63 }),
  };
}

/** The config with what was observed. */
export function withActivation<C extends AoConfig>(config: C, { scale, zeroPoint, outputScale }: ActivationQparams): C {
  const fields = config as unknown as StaticFields;
  return Object.freeze({
    ...config,
    actQuantScale: scale,
    ...(fields.actMappingType === 'ASYMMETRIC' && { actQuantZeroPoint: zeroPoint }),
    ...(outputScale !== undefined && { outputActQuantScale: outputScale }),
  });
}

/** One scale and zero point for each block, nested as the blocks lie. */
export interface ActivationQparams {
  readonly scale: NumberList;
  readonly zeroPoint: NumberList;
  /** Of the output, where the config rounds it too. */
  readonly outputScale?: NumberList;
}
