// Tensors kept for backward: a view of the same memory that outlives scopes, and the version that it had; or how to make them again.
import { AoError } from '../errors.ts';
import { intern } from '../identity.ts';
import { Dense, type Tensor } from '../tensor.ts';

const ways = (): WeakMap<Tensor, () => Tensor> => intern('autograd', 'regained', () => new WeakMap());

/** Backward calls `again` for each node that wants t, instead of keeping t; what it returns lives in that node's scope. */
export function regain<T extends Tensor>(t: T, again: () => Tensor): T {
  ways().set(t, again);
  return t;
}

export class Saved {
  readonly #tensor: Tensor;
  readonly #version: number;
  readonly #own: boolean;
  readonly #again: (() => Tensor) | undefined;

  constructor(t: Tensor) {
    this.#again = ways().get(t);
    this.#own = t.kind === null && t.packed === null && this.#again === undefined;
    if (this.#own) {
      const d = t as Dense;
      this.#version = d.storage.version;
      const view = new Dense(d.rt, d.storage, d.shape, d.dtype, d.strides, d.offset);
      view.lease = d.lease;
      view.kept = true;
      this.#tensor = view;
    } else {
      this.#version = 0;
      this.#tensor = t;
    }
  }

  /** The tensor; throws ERR_AO_DISPOSED where it was freed, ERR_AO_STREAM where it was changed in place since. */
  read(op: string, module: string): Tensor {
    if (this.#again !== undefined) return this.#again();
    this.#tensor.check(op);
    if (this.#own && (this.#tensor as Dense).storage.version !== this.#version) {
      throw new AoError(
        'ERR_AO_STREAM',
        `a tensor of shape [${this.#tensor.shape}] was changed in place after ${op} saved it`,
        {
          op,
          ...(module === '' ? {} : { module }),
          fix: 'change a clone of it, or call backward first',
        },
      );
    }
    return this.#tensor;
  }

  free(): void {
    if (this.#own) this.#tensor.dispose();
  }
}
