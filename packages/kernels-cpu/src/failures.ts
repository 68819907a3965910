// From a failure of the stream to the error a reader gets: the sequence number of a command leads to the op and module
// that enqueued it. Sites of the last 8,192 commands are kept, twice what can be queued.
import { AoError } from '@ao/core';
import type { NativeFailure } from './addon.ts';

/** What enqueued a command. */
export interface Site {
  readonly op: string;
  readonly module: string;
}

const KEPT_SITES = 8192;
const KEPT_FAILURES = 1024;

export class Failures {
  readonly #sites: (Site | undefined)[] = new Array<Site | undefined>(KEPT_SITES).fill(undefined);
  readonly #plans = new Map<number, readonly (Site | undefined)[]>();
  readonly #errors = new Map<number, () => AoError>();
  readonly #retired: number[] = [];
  #latest = 0;

  enqueued(sequence: number, site: Site | undefined): void {
    this.#sites[sequence & (KEPT_SITES - 1)] = site;
  }

  addPlan(id: number, sites: readonly (Site | undefined)[]): void {
    this.#plans.set(id, sites);
  }

  /** Replays of a freed plan may still be queued, so the sites of the last 64 freed plans stay. */
  retirePlan(id: number): void {
    this.#retired.push(id);
    if (this.#retired.length > 64) this.#plans.delete(this.#retired.shift() as number);
  }

  /** Looks up where failures came from, before their sites are forgotten; returns one error for each. */
  add(failures: readonly NativeFailure[]): AoError[] {
    const made = failures.map((f) => {
      const site = f.plan === 0 ? this.#sites[f.sequence & (KEPT_SITES - 1)] : this.#plans.get(f.plan)?.[f.index];
      const make = () => this.#make(f, site);
      this.#errors.set(f.id, make);
      this.#latest = f.id;
      return make();
    });
    for (const id of this.#errors.keys()) {
      if (this.#errors.size <= KEPT_FAILURES) break;
      this.#errors.delete(id);
    }
    return made;
  }

  /** A fresh error for a reader that met failure `id`. */
  error(id: number): AoError {
    const make = this.#errors.get(id);
    if (make !== undefined) return make();
    return new AoError(
      'ERR_AO_STREAM',
      `failure ${id} poisoned this tensor; ${this.#latest - id} failures came after it`,
      {
        fix: 'read results sooner after they are computed, to see the first failure in full',
      },
    );
  }

  #make(f: NativeFailure, site: Site | undefined): AoError {
    const step = f.plan === 0 ? '' : `, step ${f.index} of plan ${f.plan}`;
    const kernel = site === undefined || site.op === f.op || site.op === '' ? '' : `, kernel ${f.op}`;
    const message = f.message.startsWith(`${f.op}: `) ? f.message.slice(f.op.length + 2) : f.message;
    return new AoError('ERR_AO_STREAM', `${message} (command ${f.sequence}${step}${kernel})`, {
      op: site === undefined || site.op === '' ? f.op : site.op,
      ...(site === undefined || site.module === '' ? {} : { module: site.module }),
      fix: 'correct that argument; what was computed from the result has to be computed again',
    });
  }
}
