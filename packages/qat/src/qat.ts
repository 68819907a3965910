// qat: the extension of this package, or with a base config the config of quantize_ that torchao calls QATConfig.
import type { Extension } from '@ao/core';
import type { AoConfig } from '@ao/quantization';
import { type QATConfig, type QATOptions, qatConfig } from './config/qat.ts';
import { qatExtension } from './extension.ts';

/** `createRuntime({ use: [autograd(), quantization(), qat(), cpu()] })`. */
export function qat(): Extension;
/**
 * `quantize_(model, qat(int4WeightOnly({ groupSize: 32 }), { step: 'prepare' }))`, training, then the same with step 'convert'. null stands
 * for the base config where `activationConfig` and `weightConfig` say what to round to. Throws ERR_AO_CONFIG.
 */
export function qat(baseConfig: AoConfig | null, options?: QATOptions): QATConfig;
export function qat(...args: [baseConfig?: AoConfig | null, options?: QATOptions]): Extension | QATConfig {
  return args.length === 0 ? qatExtension() : qatConfig(args[0] ?? null, args[1]);
}
