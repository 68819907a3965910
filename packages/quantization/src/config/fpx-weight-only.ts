// FPXWeightOnlyConfig: floats of 3 to 8 bits, eXmY, with a scale a row. torchao had it until 0.15; the fields are those it had.
import { floatxFacts } from '@ao/core';
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, int } from './field.ts';

export interface FPXWeightOnlyConfig {
  readonly type: 'FPXWeightOnlyConfig';
  readonly ebits: number;
  readonly mbits: number;
  readonly setInductorConfig: boolean;
}

export const fpxWeightOnlySpec: ConfigSpec<FPXWeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'FPXWeightOnlyConfig',
  version: 1,
  fields: {
    ebits: /*@__PURE__*/ field(int, 3),
    mbits: /*@__PURE__*/ field(int, 2),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
  },
  check: ({ type, ebits, mbits }) => {
    if (ebits >= 1 && mbits >= 0 && ebits + mbits >= 2 && ebits + mbits <= 7) {
      floatxFacts(ebits, mbits);
      return;
    }
    throw configError(
      `${type}: a sign, ${ebits} exponent bits and ${mbits} mantissa bits`,
      'give 3 to 8 bits in all, at least one of them exponent: fpxWeightOnly(3, 2)',
    );
  },
  scheme: ({ ebits, mbits }) => `fp${1 + ebits + mbits}_e${ebits}m${mbits}`,
});

/** `quantize_(model, fpxWeightOnly(3, 2))`: 6 bits, 3 of them exponent, 2 mantissa. */
export function fpxWeightOnly(
  ebits: number,
  mbits: number,
  options: { setInductorConfig?: boolean } = {},
): FPXWeightOnlyConfig {
  return makeConfig(fpxWeightOnlySpec, { ebits, mbits, ...options });
}
