// The samples of core's ops, for conformance suites: `import { opSamples } from '@ao/core/samples'`.
import { gradSamples } from './autograd/ops/grad.samples.ts';
import { inPlaceSamples } from './autograd/ops/in-place.samples.ts';
import { linearGradSamples } from './autograd/ops/linear-grad.samples.ts';
import { binarySamples } from './ops/binary.samples.ts';
import { decoderSamples } from './ops/decoder.samples.ts';
import { movementSamples } from './ops/movement.samples.ts';
import { logitSamples } from './ops/process-logits.samples.ts';
import { quantSamples } from './ops/quant/quant.samples.ts';
import { reduceSamples } from './ops/reduce.samples.ts';
import { unarySamples } from './ops/unary.samples.ts';
import type { OpSamples } from './sample.ts';

export type { FillOptions, Make, OpSample, OpSamples, Tolerance } from './sample.ts';
export { samples } from './sample.ts';

export const opSamples = (): OpSamples[] => [
  ...unarySamples(),
  ...binarySamples(),
  ...reduceSamples(),
  ...decoderSamples(),
  ...logitSamples(),
  ...movementSamples(),
  ...quantSamples(),
  ...gradSamples(),
  ...inPlaceSamples(),
  ...linearGradSamples(),
];
