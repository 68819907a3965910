// The three stages of a model as types: what is prepared is trained, what is trained is converted, and nothing else.
import type { Module } from '@ao/core';
import { type AoConfig, type QuantizeOptions, quantize_ } from '@ao/quantization';
import { qat } from './qat.ts';

declare const stage: unique symbol;

/** Read rounded while training; it cannot be saved as quantized. */
export type PreparedModel<M extends Module> = M & { readonly [stage]: 'prepared' };
/** Quantized: it cannot be trained. */
export type ConvertedModel<M extends Module> = M & { readonly [stage]: 'converted' };
/** A model of which nothing is known, or one that is float again. */
export type FloatModel<M extends Module> = M & { readonly [stage]?: never };

/** quantize_ with step 'prepare'; the model, in place, as what it is now. */
export async function prepareForQat<M extends Module>(
  model: FloatModel<M>,
  baseConfig: AoConfig,
  options: QuantizeOptions = {},
): Promise<PreparedModel<M>> {
  await quantize_(model, qat(baseConfig, { step: 'prepare' }), options);
  return model as M as PreparedModel<M>;
}

/** quantize_ with step 'convert'. */
export async function convertFromQat<M extends Module>(
  model: PreparedModel<M>,
  baseConfig: AoConfig,
  options: QuantizeOptions = {},
): Promise<ConvertedModel<M>> {
  await quantize_(model, qat(baseConfig, { step: 'convert' }), options);
  return model as M as ConvertedModel<M>;
}
