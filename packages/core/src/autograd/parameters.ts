// A model's trainable parameters: which they are, their gradients' norm, and forgetting gradients.
import { AoError } from '../errors.ts';
import { isWrapped } from '../kind.ts';
import type { Module } from '../nn/module.ts';
import { sqrt } from '../ops/unary.ts';
import { scope } from '../scope.ts';
import type { Tensor, Wrapped } from '../tensor.ts';
import { noGrad } from './grad-mode.ts';
import { clipByNorm_, sumOfSquares } from './ops/accumulate.ts';

/** Makes parameters trainable (those that `filter` takes, by name), the float ones of a model; returns their names. */
export function requiresGrad_(
  model: Module,
  on = true,
  filter: (name: string, t: Tensor) => boolean = (_, t) => t.kind === null,
): string[] {
  const names: string[] = [];
  for (const [name, whole] of model.namedParameters()) {
    const parts = isWrapped(whole) ? whole.kind.spec.trains : undefined;
    const leaves =
      parts === undefined
        ? [[name, whole] as const]
        : parts.map((p) => [partName(name, p), (whole as Wrapped).held[p]] as const);
    for (const [leaf, t] of leaves) {
      if (t === undefined || !filter(leaf, t)) continue;
      t.requiresGrad = on;
      names.push(leaf);
    }
  }
  return names;
}

/** A part of the name 'weight' is what the parameter was before. */
const partName = (name: string, part: string): string => (part === 'weight' ? name : `${name}.${part}`);

function* leavesOf(name: string, t: Tensor): Generator<[string, Tensor]> {
  if (t.requiresGrad) yield [name, t];
  else if (isWrapped(t))
    for (const [part, inner] of Object.entries(t.held)) yield* leavesOf(partName(name, part), inner);
}

/** Parameters that require a gradient, and parts of kinds that do (`q_proj.weight.lora_A`), by name; a shared one once. */
export function trainableParameters(model: Module): [string, Tensor][] {
  const found = new Map<Tensor, string>();
  for (const [name, t] of model.namedParameters()) {
    for (const [leaf, inner] of leavesOf(name, t)) if (!found.has(inner)) found.set(inner, leaf);
  }
  return [...found].map(([t, name]) => [name, t]);
}

/** Disposes gradients; those of the next backward are new. */
export function zeroGrad(parameters: Iterable<Tensor>): void {
  for (const p of parameters) {
    p.grad?.dispose();
    p.grad = null;
  }
}

/**
 * torch.nn.utils.clip_grad_norm_: scales all gradients by min(1, maxNorm / (norm + 1e-6)) and returns their norm before (float32 [1]),
 * the root of the sum of all squares. Stays on the device, so that a captured step replays it.
 */
export function clipGradNorm_(parameters: Iterable<Tensor>, maxNorm: number): Tensor {
  const grads = [...parameters].flatMap((p) => (p.grad === null ? [] : [p.grad]));
  if (grads.length === 0) {
    throw new AoError('ERR_AO_CONFIG', 'no parameter has a gradient', {
      op: 'clipGradNorm_',
      fix: 'call backward first',
    });
  }
  return noGrad(() =>
    scope(() => {
      const norm = sqrt(sumOfSquares(grads));
      for (const g of grads) clipByNorm_(g, norm, maxNorm);
      return norm;
    }),
  );
}
