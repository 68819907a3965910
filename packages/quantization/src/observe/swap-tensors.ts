// swapTensors: other tensors in the places of a model's own, for a while; nothing is kept or disposed.
import { isTensor, type Module, type Tensor } from '@ao/core';

/** Every place of the model that holds a key of `by` gets its value. */
export function swapTensors(model: Module, by: ReadonlyMap<Tensor, Tensor>): void {
  for (const [, module] of model.namedModules()) {
    const holder = module as unknown as Record<string, unknown>;
    for (const [key, value] of Object.entries(holder)) {
      const other = isTensor(value) ? by.get(value) : undefined;
      if (other !== undefined) holder[key] = other;
    }
  }
}
