// Anomaly detection: within fn, backward reads each gradient and throws at the first that is not finite.
import { AoError } from '../errors.ts';
import { intern } from '../identity.ts';
import type { Tensor } from '../tensor.ts';
import type { Node } from './node.ts';

const state = (): { on: boolean } => intern('autograd', 'anomaly', () => ({ on: false }));

/**
 * torch.autograd.detect_anomaly: a `backward` inside fn throws ERR_AO_STREAM at the first gradient with NaN or infinity, naming
 * the op that gave it and the module whose forward called that op. Reads every gradient, so it is slow.
 */
export function detectAnomaly<T>(fn: () => T): T {
  const s = state();
  const outer = s.on;
  s.on = true;
  try {
    return fn();
  } finally {
    s.on = outer;
  }
}

/** Throws where anomaly detection is on and the gradient that `node` gave for its argument i is not finite. */
export function checkAnomaly(node: Node, grad: Tensor, i: number): void {
  if (!state().on) return;
  const values = grad.dataSync();
  const at = values.findIndex((v) => !Number.isFinite(v));
  if (at < 0) return;
  throw new AoError(
    'ERR_AO_STREAM',
    `the derivative of ${node.name} gave ${values[at]} at element ${at} of argument ${i}`,
    {
      op: node.name,
      ...(node.module === '' ? {} : { module: node.module }),
      fix: 'look at the inputs of this op: a division by 0, a log of 0, an overflow of its dtype',
    },
  );
}
