// One table per process for everything that is known by id: ops, kinds, traits and the scope stack. The ESM and the CJS
// copy of one version of @ao/core meet here, so that an op from one runs on a runtime made by the other.
import type { DType } from './dtype.ts';
import { AoError } from './errors.ts';
import type { Tensor } from './tensor.ts';

export const VERSION = '0.1.0';

interface Shared {
  readonly version: string;
  readonly tables: Map<string, Map<string, unknown>>;
  /** Innermost scope last; each lists the tensors made inside it. */
  readonly scopes: Tensor[][];
  /** Fully qualified name of the module whose forward runs now, for errors. */
  modulePath: string;
  /** Above 0 nothing is recorded for gradients. */
  noGrad: number;
  /** Dtype that `autocast` runs matrix products in. */
  autocast: DType | null;
}

const KEY = /*@__PURE__*/ Symbol.for('@ao/core/v1');

let cached: Shared | undefined;

/** The shared state; throws ERR_AO_CONFIG if another version of @ao/core made it. */
export function shared(): Shared {
  if (cached !== undefined) return cached;
  const holder = globalThis as { [KEY]?: Shared };
  holder[KEY] ??= { version: VERSION, tables: new Map(), scopes: [], modulePath: '', noGrad: 0, autocast: null };
  const found = holder[KEY];
  if (found.version !== VERSION) {
    throw new AoError('ERR_AO_CONFIG', `two copies of @ao/core are loaded: ${found.version} and ${VERSION}`, {
      fix: 'install one version: @ao packages take @ao/core as a peer dependency; run `npm ls @ao/core`',
    });
  }
  cached = found;
  return found;
}

/** The objects of one table by their ids. */
export function internTable<T>(table: string): Map<string, T> {
  const { tables } = shared();
  let entries = tables.get(table);
  if (entries === undefined) {
    entries = new Map();
    tables.set(table, entries);
  }
  return entries as Map<string, T>;
}

/** Returns the object known under `table` and `id`, making it at the first call. */
export function intern<T>(table: string, id: string, make: () => T): T {
  const entries = internTable<T>(table);
  let found = entries.get(id);
  if (found === undefined) {
    found = make();
    entries.set(id, found);
  }
  return found;
}
