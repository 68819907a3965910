// The values of quantization's own schemes, by their primitives, so that a model which trained to them converts without rounding anew.
import {
  castTo,
  chooseQparamsAffine,
  chooseQparamsAffineTinygemm,
  dequantizeAffine,
  dequantizeAffineTinygemm,
  dtypeRange,
  expand,
  int8,
  quantizeAffine,
  quantizeAffineTinygemm,
  type Tensor,
  uint8,
} from '@ao/core';
import {
  type AoConfig,
  int4WeightOnly,
  int8DynamicActivationIntxWeight,
  intxWeightOnly,
  type MappingType,
  perAxis,
  perGroup,
} from '@ao/quantization';
import { configError } from '../config/fake-quantize.ts';
import { type Quantized, type Quantizer, range, row } from './quantizer.ts';

/** Integers of `bits` with scales, and zero points where asymmetric, of rows or groups: intxWeightOnly's and 8daNw's. */
export class UnifTorchaoQuantizer implements Quantizer {
  readonly #mappingType: MappingType;

  constructor({ mappingType = 'SYMMETRIC' }: { readonly mappingType?: MappingType } = {}) {
    this.#mappingType = mappingType;
  }

  levelCount(bits: number): number {
    if (bits >= 1 && bits <= 8) return 2 ** bits;
    throw configError(`there are no integers of ${bits} bits`, 'give a group quantBits from 1 to 8');
  }

  quantize(p: Tensor, bits: number): Quantized {
    const limits = dtypeRange('parq', `int${bits}`);
    const block = [1, p.shape[1]!];
    const [scale, zero] = chooseQparamsAffine(p, this.#mappingType, block, 'int8', { ...limits, keepdim: true });
    const codes = quantizeAffine(p, block, scale, zero, 'int8', limits);
    const all = everyCode(p, limits.quantMin, limits.quantMax);
    return {
      q: dequantizeAffine(codes, block, scale, zero, 'int8', limits),
      levels: dequantizeAffine(castTo(all, int8), [1, all.shape[1]!], scale, zero, 'int8', limits),
    };
  }

  config(bits: number, groupSize: number | undefined, weightOnly: boolean): AoConfig {
    const granularity = groupSize === undefined ? perAxis(0) : perGroup(groupSize);
    const weightDtype = `int${bits}` as 'int4';
    const mappingType = this.#mappingType;
    if (weightOnly) return intxWeightOnly({ weightDtype, granularity, mappingType });
    return int8DynamicActivationIntxWeight({
      weightDtype,
      weightGranularity: granularity,
      weightMappingType: mappingType,
    });
  }
}

const everyCode = (p: Tensor, from: number, to: number): Tensor =>
  expand(row(p, range(from, to)), [p.shape[0]!, to - from + 1]);

const INT4 = { quantMin: 0, quantMax: 15 };

/** int4WeightOnly's: codes 0 to 15, zero points that are floats, scales of at least 1e-6. */
export class Int4UnifTorchaoQuantizer implements Quantizer {
  levelCount(bits: number): number {
    if (bits === 4) return 16;
    throw configError(`${bits} bits are not int4's`, 'give the group quantBits: 4, or use UnifTorchaoQuantizer');
  }

  quantize(p: Tensor): Quantized {
    const block = [1, p.shape[1]!];
    const options = { ...INT4, eps: 1e-6, keepdim: true };
    const [scale, zero] = chooseQparamsAffineTinygemm(p, 'ASYMMETRIC', block, 'uint8', options);
    const codes = quantizeAffineTinygemm(p, block, scale, zero, 'uint8', INT4);
    const all = castTo(everyCode(p, INT4.quantMin, INT4.quantMax), uint8);
    return {
      q: dequantizeAffineTinygemm(codes, block, scale, zero, 'uint8', INT4),
      levels: dequantizeAffineTinygemm(all, [1, 16], scale, zero, 'uint8', INT4),
    };
  }

  config(_bits: number, groupSize: number | undefined): AoConfig {
    if (groupSize === undefined)
      throw configError('int4 has groups, these parameters none', 'give the group quantBlockSize');
    return int4WeightOnly({ groupSize: groupSize as 32 });
  }
}
