// gradientCheckpointing: modules keep only their input for backward, which runs them again. A step takes about a third longer, and the
// memory of activations falls from all layers' to one's.
import { AoError, type Module, type Tensor } from '@ao/core';
import { type CheckpointOptions, checkpoint } from '@ao/core/autograd';

type Forward = (x: Tensor, ...rest: unknown[]) => Tensor | Tensor[];

/**
 * Wraps the forward of modules of a model: those that `layers` takes by name, by default the members of the lists named `layers`. Their first
 * argument is the one that gradients flow through; `options` has what dropout draws by. Returns a function that takes it back.
 */
export function gradientCheckpointing(
  model: Module,
  layers: (name: string) => boolean = (name) => /(^|\.)layers\.\d+$/.test(name),
  options: CheckpointOptions = {},
): () => void {
  const undo: (() => void)[] = [];
  for (const [name, module] of model.namedModules()) {
    if (!layers(name)) continue;
    const own = module as { forward: Forward };
    const kept = Object.getOwnPropertyDescriptor(own, 'forward');
    const plain = own.forward.bind(own);
    own.forward = (x, ...rest) => checkpoint((h) => plain(h!, ...rest), [x], options);
    undo.push(() => {
      if (kept === undefined) delete (own as { forward?: Forward }).forward;
      else Object.defineProperty(own, 'forward', kept);
    });
  }
  if (undo.length > 0) return () => undo.forEach((fn) => fn());
  throw new AoError('ERR_AO_CONFIG', 'no module of the model is one of `layers`', {
    op: 'gradientCheckpointing',
    fix: 'give layers: (name) => ..., see namedModules()',
  });
}
