// QATConfig: the two steps of quantization-aware training as a config of quantize_. prepare puts fake quantization before the
// weights and inputs of linears, convert takes it out again and quantizes by the base config.
import type { AoConfig } from '@ao/quantization';
import { configError, type FakeQuantizeConfigBase } from './fake-quantize.ts';

export interface QATConfig extends AoConfig {
  readonly type: 'QATConfig';
  readonly baseConfig: AoConfig | null;
  readonly activationConfig: FakeQuantizeConfigBase | null;
  readonly weightConfig: FakeQuantizeConfigBase | null;
  readonly step: 'prepare' | 'convert';
  /** Gradients of clamped values: 0 as torchao has them, or passed on too. Ours. */
  readonly straightThrough: 'clipped' | 'plain';
}

export interface QATOptions {
  step?: 'prepare' | 'convert';
  activationConfig?: FakeQuantizeConfigBase | null;
  weightConfig?: FakeQuantizeConfigBase | null;
  straightThrough?: 'clipped' | 'plain';
}

function check({ baseConfig, activationConfig, weightConfig, step }: QATConfig): void {
  const own = activationConfig !== null || weightConfig !== null;
  if (step !== 'prepare' && step !== 'convert')
    throw configError(`step '${String(step)}'`, "use 'prepare' or 'convert'");
  if (baseConfig !== null && own)
    throw configError('baseConfig and fake quantization of its own are both given', 'leave one of them out');
  if (step === 'prepare' && baseConfig === null && !own)
    throw configError("step 'prepare' needs to know what to round to", 'give a base config, or { weightConfig }');
  if (step === 'convert' && own)
    throw configError("step 'convert' takes no activationConfig or weightConfig", 'give the base config, or nothing');
  if (baseConfig?.type.endsWith('FakeQuantizeConfig'))
    throw configError(`${baseConfig.type} is no base config`, 'pass it as { weightConfig } or { activationConfig }');
}

/** torchao's QATConfig; `qat` for users. Throws ERR_AO_CONFIG. */
export function qatConfig(baseConfig: AoConfig | null, options: QATOptions = {}): QATConfig {
  const { step = 'prepare', activationConfig = null, weightConfig = null, straightThrough = 'clipped' } = options;
  const config: QATConfig = Object.freeze({
    type: 'QATConfig',
    baseConfig,
    activationConfig,
    weightConfig,
    step,
    straightThrough,
  });
  check(config);
  return config;
}

/** torchao's older name of step 'prepare' with configs of one's own. */
export const IntXQuantizationAwareTrainingConfig = (
  activationConfig: FakeQuantizeConfigBase | null = null,
  weightConfig: FakeQuantizeConfigBase | null = null,
): QATConfig => qatConfig(null, { activationConfig, weightConfig });

/** torchao's older name of step 'convert' without a base config: fake quantization is taken out, weights stay float. */
export const FromIntXQuantizationAwareTrainingConfig = (): QATConfig => qatConfig(null, { step: 'convert' });
