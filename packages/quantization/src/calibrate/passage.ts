// Passage: batches through a model, block by block. Where each block of a list (decoder layers) reads only what the one before
// gave, as a probe of the first batch tells, a pass to block b skips the blocks before it: b gets the kept output of b - 1, and
// the run ends behind b. So a pass costs one block. Other models run whole. A block's forward is shadowed meanwhile.
import { AoError, type Backend, isTensor, keep, type Module, scope, type Tensor } from '@ao/core';
import type { Feed } from './feed.ts';

/** Thrown to end a run of the model when enough was seen. */
export const ENOUGH: unique symbol = Symbol('enough');

type Forward = (...args: unknown[]) => unknown;
type Shadowed = { forward: Forward };

export class Passage<T> {
  readonly #backend: Backend;
  readonly #blocks: readonly Module[];
  readonly #feed: Feed<T>;
  readonly #run: (batch: T) => unknown;
  readonly #signal: AbortSignal | undefined;
  #chained = false;
  /** Where runs go to; the number of blocks means through the whole model. */
  #target: number;
  /** Of block target - 1, for each batch. */
  #outputs: Tensor[] = [];
  #batch = 0;
  /** What block target gave in this run, where it is asked for. */
  #given: Tensor | undefined;
  #keeps = false;
  #see: ((output: Tensor) => void) | undefined;

  constructor(
    backend: Backend,
    blocks: readonly Module[],
    feed: Feed<T>,
    run: (batch: T) => unknown,
    signal: AbortSignal | undefined,
  ) {
    this.#backend = backend;
    this.#blocks = blocks;
    this.#feed = feed;
    this.#run = run;
    this.#signal = signal;
    this.#target = blocks.length;
  }

  /** Runs the first batch to see how the blocks are called; throws ERR_AO_CONFIG where there is no batch. */
  async probe(): Promise<void> {
    const order: { block: number; from: unknown; to: unknown }[] = [];
    await this.#shadowed(
      (block, real, args) => {
        const to = real(...args);
        order.push({ block, from: args[0], to });
        return to;
      },
      () =>
        this.#each(
          () => {},
          () => {},
          1,
        ),
    );
    if (this.#feed.count === 0) {
      throw new AoError('ERR_AO_CONFIG', 'the calibration data is empty', {
        op: 'calibrate',
        fix: 'give at least one batch',
      });
    }
    this.#chained =
      order.length === this.#blocks.length &&
      order.every(({ block, from, to }, i) => block === i && isTensor(to) && (i === 0 || from === order[i - 1]?.to));
    this.#target = 0;
  }

  /** Runs batches, all or the first `most`, up to the current block; `before` each. */
  pass(before: () => void = () => {}, most?: number): Promise<void> {
    return this.#shadowed(this.#enter, () => this.#each(before, () => {}, most));
  }

  /** Goes on to the next block, with what the current one gives now. */
  async advance(): Promise<void> {
    if (this.#chained) {
      const outputs: Tensor[] = [];
      this.#keeps = true;
      await this.#shadowed(this.#enter, () =>
        this.#each(
          () => {},
          () => outputs.push(this.#given as Tensor),
        ),
      );
      this.#keeps = false;
      for (const t of this.#outputs) if (!outputs.includes(t)) t.dispose();
      this.#outputs = outputs;
    }
    this.#target += 1;
  }

  /** Reads the data to its end; gives the number of batches. */
  async read(): Promise<number> {
    for await (const _ of this.#feed) this.#signal?.throwIfAborted();
    return this.#feed.count;
  }

  /** Runs batch i, which was read, and shows what the current block gives; the model itself, where all blocks lie behind. */
  through(i: number, see: (output: Tensor) => void): void {
    const restore = this.#shadow(this.#enter);
    this.#see = see;
    this.#batch = i;
    try {
      this.#one(this.#feed.at(i), see);
    } finally {
      this.#see = undefined;
      restore();
    }
  }

  /** Waits until all that was run is done. */
  sync(): Promise<void> {
    return this.#backend.sync();
  }

  dispose(): void {
    for (const t of this.#outputs) t.dispose();
    this.#outputs = [];
  }

  #enter = (block: number, real: Forward, args: unknown[]): unknown => {
    const shown = block === this.#target ? this.#see : undefined;
    if ((!this.#chained && shown === undefined) || block > this.#target) return real(...args);
    if (this.#chained && block < this.#target - 1) return args[0];
    if (this.#chained && block === this.#target - 1) return this.#outputs[this.#batch];
    const out = real(...args);
    if (shown !== undefined) show(out, shown);
    if (this.#keeps) this.#given = keep(out as Tensor);
    throw ENOUGH;
  };

  async #each(before: () => void, after: () => unknown, most = Number.POSITIVE_INFINITY): Promise<void> {
    this.#batch = 0;
    for await (const batch of this.#feed) {
      this.#signal?.throwIfAborted();
      before();
      this.#one(batch);
      await this.#backend.sync();
      after();
      this.#batch += 1;
      if (this.#batch >= most) return;
    }
  }

  /** One run, to its end or to where it has given enough; `see` gets what it gives at its end. */
  #one(batch: T, see?: (output: Tensor) => void): void {
    try {
      scope(() => {
        const out = this.#run(batch);
        if (see !== undefined) show(out, see);
      });
    } catch (error) {
      if (error !== ENOUGH) throw error;
    }
  }

  async #shadowed(
    enter: (block: number, real: Forward, args: unknown[]) => unknown,
    work: () => Promise<void>,
  ): Promise<void> {
    const restore = this.#shadow(enter);
    try {
      await work();
    } finally {
      restore();
    }
  }

  /** Puts `enter` before every block's forward; the result takes it away again. */
  #shadow(enter: (block: number, real: Forward, args: unknown[]) => unknown): () => void {
    const undo = this.#blocks.map((block, i) => {
      const target = block as unknown as Shadowed;
      const own = Object.hasOwn(target, 'forward');
      const real = target.forward;
      target.forward = (...args) => enter(i, (...inner) => real.apply(block, inner), args);
      return () => {
        if (own) target.forward = real;
        else delete (target as Partial<Shadowed>).forward;
      };
    });
    return () => {
      for (const one of undo) one();
    };
  }
}

function show(out: unknown, see: (output: Tensor) => void): void {
  if (!isTensor(out)) {
    throw new AoError('ERR_AO_CONFIG', `what is to be compared is no tensor but ${typeof out}`, {
      op: 'calibrate',
      fix: 'give { forward } that returns one tensor, or an algorithm that rounds weight by weight, e.g. gptq',
    });
  }
  see(out);
}

/** The list of modules below which most of `names` lie: a decoder's layers; [] where none holds two modules with weights. */
export function blocksOf(model: Module, names: readonly string[]): { path: string; module: Module }[] {
  let best: { path: string; module: Module }[] = [];
  let most = 0;
  for (const [prefix, module] of model.namedModules()) {
    const lists = new Map<string, { path: string; module: Module }[]>();
    for (const [name, child] of module.children()) {
      const list = /^(.*)\.\d+$/.exec(name)?.[1];
      if (list === undefined) continue;
      const path = prefix === '' ? name : `${prefix}.${name}`;
      lists.set(list, [...(lists.get(list) ?? []), { path, module: child }]);
    }
    for (const list of lists.values()) {
      const below = names.filter((n) => list.some(({ path }) => n.startsWith(`${path}.`))).length;
      if (list.length > 1 && below > most) [best, most] = [list, below];
    }
  }
  return best;
}
