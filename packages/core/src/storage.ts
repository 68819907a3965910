// A tensor's memory: one buffer shared by a tensor and its views, freed when the last of them is disposed, or by the
// garbage collector as a net.
import type { Backend, Buffer } from './backend.ts';

interface Held {
  readonly backend: Backend;
  readonly buffer: Buffer;
}

let net: FinalizationRegistry<Held> | undefined;

export class Storage {
  readonly backend: Backend;
  readonly buffer: Buffer;
  /** Counts in-place writes, so that readers of an older version can tell. */
  version = 0;
  #tensors = 0;
  #guarded = false;
  #freed = false;

  constructor(backend: Backend, buffer: Buffer) {
    this.backend = backend;
    this.buffer = buffer;
  }

  get nbytes(): number {
    return this.buffer.nbytes;
  }

  /** How many tensors view it. */
  get tensors(): number {
    return this.#tensors;
  }

  get freed(): boolean {
    return this.#freed;
  }

  /** Lets the garbage collector free this storage; scoped intermediates never need it. */
  guard(): void {
    if (this.#guarded || this.#freed) return;
    this.#guarded = true;
    net ??= new FinalizationRegistry((held) => held.backend.free(held.buffer));
    net.register(this, { backend: this.backend, buffer: this.buffer }, this);
  }

  retain(): void {
    this.#tensors += 1;
  }

  release(): void {
    this.#tensors -= 1;
    if (this.#tensors > 0 || this.#freed) return;
    this.#freed = true;
    if (this.#guarded) net?.unregister(this);
    this.backend.free(this.buffer);
  }
}
