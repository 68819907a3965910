// Traits: a question that one package asks of config types (quantize this module?) and others answer, so that no package
// keeps a ladder of the configs it knows.
import { intern } from './identity.ts';

export interface Trait<Rest extends readonly unknown[], R> {
  readonly id: string;
  /** For types only. */
  readonly _signature?: (...rest: Rest) => R;
}

export function defineTrait<Rest extends readonly unknown[], R>(id: string): Trait<Rest, R> {
  return intern('trait', id, () => ({ id }));
}
