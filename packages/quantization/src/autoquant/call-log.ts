// What a model does with its weights while examples run: which weights meet an activation in one call, how many rows it has,
// and some of its rows, to measure errors on.
import { clone, isAoError, keep, reshape, scope, slice, type Tensor } from '@ao/core';
import type { Site, Watcher } from '../analyze/watched-tensor.ts';

/** Rows of the first activation that are kept. */
const SAMPLE = 32;

/** Weights that share an activation in one call (query, key and value): they get one config, so that the call stays one. */
export interface Group {
  readonly sites: readonly Site[];
  /** Calls by rows of the activation. */
  readonly calls: Map<number, number>;
  /** Rows of the first activation that was there outside a capture, [<= 32, K]. */
  sample?: Tensor;
  /** Some of its weights also serve as embeddings. */
  embedded: boolean;
}

export class CallLog implements Watcher {
  readonly groups: Group[] = [];
  readonly #sites: ReadonlyMap<string, Site>;
  readonly #groupOf = new Map<string, Group>();
  readonly #embedded = new Set<string>();

  constructor(sites: readonly Site[]) {
    this.#sites = new Map(sites.map((s) => [s.names[0] as string, s]));
  }

  linear(x: Tensor, names: readonly string[]): void {
    const fresh = names.filter((name) => !this.#groupOf.has(name));
    if (fresh.length > 0) {
      const sites = fresh.map((name) => this.#sites.get(name) as Site);
      const group: Group = { sites, calls: new Map(), embedded: fresh.some((name) => this.#embedded.has(name)) };
      this.groups.push(group);
      for (const name of fresh) this.#groupOf.set(name, group);
    }
    const rows = x.numel / (x.shape[x.ndim - 1] as number);
    for (const group of new Set(names.map((name) => this.#groupOf.get(name) as Group))) {
      group.calls.set(rows, (group.calls.get(rows) ?? 0) + 1);
      if (group.sample === undefined && isReadable(x)) {
        group.sample = keep(scope(() => clone(slice(reshape(x, [rows, -1]), 0, 0, Math.min(rows, SAMPLE)))));
      }
    }
  }

  embedding(name: string): void {
    this.#embedded.add(name);
    const group = this.#groupOf.get(name);
    if (group !== undefined) group.embedded = true;
  }

  dispose(): void {
    for (const group of this.groups) group.sample?.dispose();
  }
}

/** False in a capture, where nothing has been computed yet. */
function isReadable(x: Tensor): boolean {
  try {
    x.rt.checkReadable(x.rt.backend(x.device), 'autoquant');
    return true;
  } catch (error) {
    if (isAoError(error)) return false;
    throw error;
  }
}
