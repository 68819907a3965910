// Tensors kept for backward: a view of the same memory that outlives scopes, and the version that it had.
import { AoError } from '../errors.ts';
import { Dense, type Tensor } from '../tensor.ts';

export class Saved {
  readonly #tensor: Tensor;
  readonly #version: number;
  readonly #own: boolean;

  constructor(t: Tensor) {
    this.#own = t.kind === null && t.packed === null;
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
