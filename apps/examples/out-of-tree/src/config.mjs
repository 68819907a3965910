// square8WeightOnly: what quantize_, its rules, its report and its files need to know.
import { AoError } from '@ao/core';
import { checkMatrix, configSpec, field, fields, makeConfig, schemeEntries } from '@ao/quantization';
import { square8FromHp } from './kind.mjs';

const scheme = ({ groupSize }) => `square8wo-${groupSize}`;

const spec = /*@__PURE__*/ configSpec({
  type: 'Square8WeightOnlyConfig',
  version: 1,
  fields: { groupSize: /*@__PURE__*/ field(fields.int, 64) },
  check: ({ groupSize }) => {
    if (groupSize > 0) return;
    throw new AoError('ERR_AO_CONFIG', `square8WeightOnly got a group size of ${groupSize}`, {
      fix: 'give one from 1',
    });
  },
  scheme,
});

/** `quantize_(model, square8WeightOnly({ groupSize: 32 }))` */
export const square8WeightOnly = (options = {}) => makeConfig(spec, options);

/** What the config makes of one weight, or why it cannot and what would help. */
function plan(config, info) {
  const { groupSize } = config;
  const problem = checkMatrix(info, groupSize, [256, 128, 64, 32, 16], 'leave it out by a rule with null');
  if (problem !== undefined) return problem;
  const [N, K] = info.shape;
  return {
    scheme: scheme(config),
    bits: 8,
    bytes: N * K + 4 * N * (K / groupSize),
    activation: 'exact',
    quantize: (weight) => square8FromHp(weight, groupSize),
  };
}

export const configEntries = () => schemeEntries(spec, plan);
