// The JavaScript end of the stream: commands are written to the shared ring and published by one atomic store; the
// addon is called only to wake the thread or to wait for it. While recording they go to a buffer of the plan instead.
// All counters of the ring are modulo 2^32; `sequence` counts commands and is exact.
import { AoError } from '@ao/core';
import type { CommandStream } from './abi.ts';
import type { Addon, NativeStream } from './addon.ts';
import { Failures, type Site } from './failures.ts';
import {
  COMPLETED,
  DISCARD,
  END_HANDOFF,
  ERRORS,
  FENCE,
  FREE_PLAN,
  HEAD,
  MAX_QUEUED,
  POISONED,
  RELEASE,
  REPLAY,
  RING_DOUBLES,
  SLEEPING,
  TAIL,
  WRAP,
} from './protocol.ts';

/** How many commands may pass between two looks at what the thread reports. */
const TICK = 1024;

interface Request {
  resolve(): void;
  reject(error: AoError): void;
}

/** A recorded list of commands inside the addon. */
export interface NativePlan {
  readonly id: number;
  readonly address: number;
  readonly commands: number;
}

export interface StreamOptions {
  /** The device's name, for errors. */
  readonly device?: string;
  readonly threads: number;
  /** '' = the best this machine has. */
  readonly isa: string;
  readonly check: boolean;
  /** What enqueues now, for errors that come later. */
  site(): Site | undefined;
  /** Each failure once, soon after it happened. */
  onFailure(error: AoError): void;
}

/** Streams with requests under way, which the garbage collector must not take. */
const busy = /*@__PURE__*/ new Set<Stream>();

export class Stream implements CommandStream {
  records: Float64Array;
  sequence = 0;
  blocked = 0;
  readonly native: NativeStream;
  readonly failures = new Failures();
  readonly #addon: Addon;
  readonly #options: StreamOptions;
  readonly #control: Int32Array;
  readonly #ring: Float64Array;
  readonly #requests = new Map<number, Request>();
  #requestCount = 0;
  #planCount = 0;
  #written = 0;
  #at = 0;
  #room = 0;
  #slots = 0;
  #errorsSeen = 0;
  #recording: (Site | undefined)[] | null = null;
  /** 'closing' takes no more commands but still settles what is under way. */
  #state: 'open' | 'closing' | 'closed' = 'open';

  constructor(addon: Addon, options: StreamOptions) {
    this.#addon = addon;
    this.#options = options;
    const self = new WeakRef(this);
    this.native = addon.createStream(options.threads, options.isa, options.check, (id, failure) =>
      self.deref()?.settle(id, failure),
    );
    this.#control = new Int32Array(this.native.control);
    this.#ring = new Float64Array(this.native.ring);
    this.records = this.#ring;
  }

  reserve(length: number): number {
    if (length > this.#room || this.#slots === 0) this.#makeRoom(length);
    return this.#at;
  }

  commit(length: number): void {
    this.#at += length;
    this.#room -= length;
    this.#slots -= 1;
    if (this.#recording !== null) {
      this.#recording.push(this.#options.site());
      return;
    }
    this.#written = (this.#written + length) | 0;
    this.sequence += 1;
    this.failures.enqueued(this.sequence, this.#options.site());
    this.publish();
  }

  /** From here on what the block held no longer matters, nor that it was poisoned. */
  discard(block: number): void {
    this.#mark(DISCARD, block);
  }

  /** Gives a block back to the system once what is queued has run. */
  release(block: number): void {
    this.#mark(RELEASE, block);
  }

  publish(): void {
    Atomics.store(this.#control, TAIL, this.#written);
    if (Atomics.load(this.#control, SLEEPING) !== 0) this.#addon.wake(this.native.handle);
  }

  get closed(): boolean {
    return this.#state !== 'open';
  }

  get recording(): boolean {
    return this.#recording !== null;
  }

  get queued(): number {
    return (this.sequence - Atomics.load(this.#control, COMPLETED)) | 0;
  }

  /** Everything enqueued has run, so memory may be touched from here. */
  get idle(): boolean {
    return Atomics.load(this.#control, HEAD) === this.#written;
  }

  get poisoned(): boolean {
    return Atomics.load(this.#control, POISONED) !== 0;
  }

  /** Blocks until everything enqueued has run. */
  wait(): void {
    this.#open();
    if (!this.idle) this.#wait(RING_DOUBLES, MAX_QUEUED);
    this.collect();
  }

  /** A number for a command that settles, and the promise it settles. */
  request(): { readonly id: number; readonly done: Promise<void> } {
    this.#open();
    const id = ++this.#requestCount;
    const done = new Promise<void>((resolve, reject) => this.#requests.set(id, { resolve, reject }));
    if (this.#requests.size === 1) {
      busy.add(this);
      this.#addon.setBusy(this.native.handle, true);
    }
    return { id, done };
  }

  settle(id: number, failure: number): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    if (this.#requests.size === 0) {
      busy.delete(this);
      if (this.#state !== 'closed') this.#addon.setBusy(this.native.handle, false);
    }
    if (failure === 0) request.resolve();
    else {
      this.collect();
      request.reject(this.failures.error(failure));
    }
  }

  /** Resolves once everything enqueued so far has run. */
  fence(): Promise<void> {
    const { id, done } = this.request();
    const at = this.reserve(2);
    this.records[at] = FENCE;
    this.records[at + 1] = id;
    this.commit(2);
    return done;
  }

  /** Fetches the failures that the thread has recorded. */
  collect(): void {
    const errors = Atomics.load(this.#control, ERRORS);
    if (errors === this.#errorsSeen || this.#state === 'closed') return;
    this.#errorsSeen = errors;
    for (const error of this.failures.add(this.#addon.takeFailures(this.native.handle))) this.#options.onFailure(error);
  }

  record(): void {
    this.#open();
    this.#recording = [];
    this.records = new Float64Array(1 << 14);
    this.#at = 0;
    this.#room = this.records.length;
    this.#slots = 0x3fffffff;
  }

  endRecord(): NativePlan {
    const sites = this.#recording ?? [];
    const [records, length] = [this.records, this.#at];
    this.#recording = null;
    this.records = this.#ring;
    this.#at = this.#written & (RING_DOUBLES - 1);
    this.#room = 0;
    this.#slots = 0;
    const id = ++this.#planCount;
    this.failures.addPlan(id, sites);
    return { id, address: this.#addon.createPlan(this.native.handle, id, records, length), commands: sites.length };
  }

  replay(plan: NativePlan): void {
    const at = this.reserve(2);
    this.records[at] = REPLAY;
    this.records[at + 1] = plan.address;
    this.commit(2);
  }

  freePlan(plan: NativePlan): void {
    this.failures.retirePlan(plan.id);
    this.#mark(FREE_PLAN, plan.address);
    this.publish();
  }

  /** This end of a handoff is done with. */
  endHandoff(handoff: number): void {
    const at = this.reserve(2);
    this.records[at] = END_HANDOFF;
    this.records[at + 1] = handoff;
    this.commit(2);
  }

  /** Runs what is queued, settles every request, then ends the thread and frees every block. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    const done = this.fence();
    this.#state = 'closing';
    this.#room = 0;
    await done;
    this.collect();
    this.#state = 'closed';
    this.#addon.close(this.native.handle);
  }

  #open(): void {
    if (this.#state === 'open') return;
    throw new AoError('ERR_AO_DISPOSED', `the ${this.#options.device ?? 'cpu'} backend is closed`, {
      fix: 'use tensors before closing their runtime',
    });
  }

  #mark(command: number, value: number): void {
    if (this.#room < 2) this.#makeRoom(2);
    this.records[this.#at] = command;
    this.records[this.#at + 1] = value;
    this.#at += 2;
    this.#room -= 2;
    if (this.#recording === null) this.#written = (this.#written + 2) | 0;
  }

  /** Leaves at least `length` doubles and one command free at #at; waits for the thread where the ring is full. */
  #makeRoom(length: number): void {
    this.#open();
    if (this.#recording !== null) {
      const grown = new Float64Array(Math.max(2 * this.records.length, this.#at + length));
      grown.set(this.records);
      this.records = grown;
      this.#room = grown.length - this.#at;
      return;
    }
    this.collect();
    let waited = false;
    for (;;) {
      const at = this.#written & (RING_DOUBLES - 1);
      const free = RING_DOUBLES - ((this.#written - Atomics.load(this.#control, HEAD)) | 0);
      const toEnd = RING_DOUBLES - at;
      const slots = MAX_QUEUED - this.queued;
      const need = toEnd < length ? toEnd + length : length;
      if (free >= need && slots > 0) {
        if (toEnd < length) {
          this.records[at] = WRAP;
          this.#written = (this.#written + toEnd) | 0;
          continue;
        }
        this.#at = at;
        this.#room = Math.min(free, toEnd);
        this.#slots = Math.min(slots, TICK);
        return;
      }
      if (!waited) this.blocked += 1;
      waited = true;
      this.#wait(Math.max(need, RING_DOUBLES >> 2), MAX_QUEUED - TICK);
    }
  }

  #wait(room: number, queued: number): void {
    this.publish();
    this.#addon.wait(this.native.handle, this.#written >>> 0, room, this.sequence >>> 0, queued);
  }
}
