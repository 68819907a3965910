// Autograd as an extension: the tape and the derivatives of core's ops.
import type { Extension } from '../extension.ts';
import { tape } from './record.ts';
import { decoderRules } from './rules/decoder.ts';
import { elementwiseRules } from './rules/elementwise.ts';
import { matrixRules } from './rules/matrix.ts';
import { movementRules } from './rules/movement.ts';
import { reduceRules } from './rules/reduce.ts';

let made: Extension | undefined;

/** Gradients: `createRuntime({ use: [autograd(), cpu()] })`, then `t.requiresGrad = true` and `backward(loss)`. */
export function autograd(): Extension {
  made ??= {
    name: '@ao/core/autograd',
    entries: [
      { type: 'tape', tape },
      ...elementwiseRules(),
      ...movementRules(),
      ...reduceRules(),
      ...matrixRules(),
      ...decoderRules(),
    ],
  };
  return made;
}
