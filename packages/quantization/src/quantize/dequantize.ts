// Back to floating point: every quantized weight of a model becomes a dense tensor of its dtype.
import { dequantize, keep, type Module, replaceTensor, scope, stateDict } from '@ao/core';

export interface DequantizeModelOptions {
  readonly filterFn?: (fqn: string) => boolean;
}

/** Replaces quantized parameters in place (ties stay ties); returns their names. */
export async function dequantize_(model: Module, options: DequantizeModelOptions = {}): Promise<string[]> {
  const done: string[] = [];
  for (const [fqn, t] of stateDict(model)) {
    if (t.kind === null || options.filterFn?.(fqn) === false) continue;
    const dense = scope(() => keep(dequantize(t)));
    await t.rt.backend(dense.device).sync();
    done.push(...replaceTensor(model, t, dense));
  }
  return done;
}
