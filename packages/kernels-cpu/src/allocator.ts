// A caching allocator over the addon's blocks. All commands run in order on one stream, so a freed block may serve the
// next allocation at once. Blocks come in size classes: multiples of 64 bytes up to 1 KiB, eight per octave up to 1 MiB,
// multiples of 64 KiB above. Above 1 MiB a cached block up to a quarter larger serves too, and blocks that nothing has
// used for 65,536 commands go back to the system.
import { AoError, type Buffer } from '@ao/core';
import type { Addon } from './addon.ts';
import type { Stream } from './stream.ts';

const LARGE = 1 << 20;
const PAGE = 1 << 16;
const IDLE_COMMANDS = 65536;
const SWEEP_EVERY = 4096;
const REPORT = 16 << 20;

/** Bytes of the block that serves a request. */
export function capacityOf(nbytes: number): number {
  if (nbytes <= 1024) return Math.max(64, (nbytes + 63) & -64);
  if (nbytes > LARGE) return Math.ceil(nbytes / PAGE) * PAGE;
  const step = 1 << (28 - Math.clz32(nbytes - 1));
  return (nbytes + step - 1) & -step;
}

/** A buffer of the cpu backend: `ptr` is its address, 0 once it is freed. */
export class CpuBuffer implements Buffer {
  readonly nbytes: number;
  readonly capacity: number;
  ptr: number;
  arena: PlanArena | null;
  /** Where the block is new from the system: commands enqueued when it was handed out; else -1. */
  readonly born: number;

  constructor(ptr: number, nbytes: number, capacity: number, arena: PlanArena | null, born: number) {
    this.ptr = ptr;
    this.nbytes = nbytes;
    this.capacity = capacity;
    this.arena = arena;
    this.born = born;
  }
}

/** Free blocks by capacity; `stamps` tell when each was freed, oldest first. */
class FreeLists {
  readonly #lists = new Map<number, { readonly blocks: number[]; readonly stamps: number[] }>();

  /** A block and its capacity; large requests take the best fit. */
  take(capacity: number): { readonly ptr: number; readonly capacity: number } | undefined {
    let found = capacity;
    let list = this.#lists.get(capacity);
    if (list === undefined || list.blocks.length === 0) {
      if (capacity <= LARGE) return undefined;
      found = Number.POSITIVE_INFINITY;
      for (const [size, l] of this.#lists) {
        if (l.blocks.length > 0 && size > capacity && size <= capacity * 1.25 && size < found) {
          found = size;
          list = l;
        }
      }
      if (list === undefined || found === Number.POSITIVE_INFINITY) return undefined;
    }
    list.stamps.pop();
    return { ptr: list.blocks.pop() as number, capacity: found };
  }

  give(ptr: number, capacity: number, stamp: number): void {
    let list = this.#lists.get(capacity);
    if (list === undefined) {
      list = { blocks: [], stamps: [] };
      this.#lists.set(capacity, list);
    }
    list.blocks.push(ptr);
    list.stamps.push(stamp);
  }

  /** Removes blocks of more than `above` bytes that were freed before `stamp`. */
  drop(above: number, stamp: number, release: (ptr: number, capacity: number) => void): void {
    for (const [capacity, { blocks, stamps }] of this.#lists) {
      if (capacity <= above) continue;
      const keep = stamps.findIndex((s) => s >= stamp);
      const count = keep < 0 ? stamps.length : keep;
      stamps.splice(0, count);
      for (const ptr of blocks.splice(0, count)) release(ptr, capacity);
      if (blocks.length === 0) this.#lists.delete(capacity);
    }
  }
}

/** The blocks of one plan: reusable inside it while it is recorded, its own until it is freed. */
export class PlanArena {
  readonly free = new FreeLists();
  readonly blocks = new Map<number, number>();
  readonly held = new Map<number, CpuBuffer>();
  recording = true;
}

export class Allocator {
  live = 0;
  peak = 0;
  reserved = 0;
  readonly #addon: Addon;
  readonly #stream: Stream;
  readonly #limit: number;
  readonly #free = new FreeLists();
  #arena: PlanArena | null = null;
  #reported = 0;
  #nextSweep = 0;

  constructor(addon: Addon, stream: Stream, limit: number) {
    this.#addon = addon;
    this.#stream = stream;
    this.#limit = limit;
  }

  alloc(nbytes: number): CpuBuffer {
    if (!(nbytes >= 0 && nbytes <= Number.MAX_SAFE_INTEGER)) {
      throw new AoError('ERR_AO_SHAPE', `alloc of ${nbytes} bytes`, {
        op: 'alloc',
        fix: 'sizes are whole numbers from 0',
      });
    }
    const wanted = capacityOf(nbytes);
    const arena = this.#arena;
    const cached = arena?.free.take(wanted) ?? this.#free.take(wanted);
    const capacity = cached?.capacity ?? wanted;
    const ptr = cached?.ptr ?? this.#reserve(wanted, nbytes);
    // An old block may still be poisoned by commands that are queued; a plan's block by the replay before.
    if (cached !== undefined || arena !== null) this.#stream.discard(ptr);
    const buffer = new CpuBuffer(
      ptr,
      nbytes,
      capacity,
      arena,
      cached === undefined && arena === null ? this.#stream.sequence : -1,
    );
    if (arena !== null) {
      arena.blocks.set(ptr, capacity);
      arena.held.set(ptr, buffer);
    }
    this.#count(nbytes);
    return buffer;
  }

  free(buffer: CpuBuffer): void {
    const { ptr, arena } = buffer;
    if (ptr === 0 || this.#stream.closed) return;
    buffer.ptr = 0;
    this.#count(-buffer.nbytes);
    if (arena === null) this.#free.give(ptr, buffer.capacity, this.#stream.sequence);
    else {
      arena.held.delete(ptr);
      if (arena.recording) arena.free.give(ptr, buffer.capacity, 0);
    }
    if (this.#stream.sequence >= this.#nextSweep) this.#sweep();
  }

  beginPlan(): void {
    this.#arena = new PlanArena();
  }

  endPlan(): PlanArena {
    const arena = this.#arena as PlanArena;
    arena.recording = false;
    this.#arena = null;
    return arena;
  }

  /** Buffers of the plan that are still held become ordinary ones. */
  freePlan(arena: PlanArena): void {
    for (const [ptr, capacity] of arena.blocks) {
      const held = arena.held.get(ptr);
      if (held !== undefined) held.arena = null;
      else this.#free.give(ptr, capacity, this.#stream.sequence);
    }
    arena.blocks.clear();
  }

  trim(): void {
    this.#free.drop(0, Number.POSITIVE_INFINITY, this.#release);
    this.#stream.publish();
  }

  #sweep(): void {
    this.#nextSweep = this.#stream.sequence + SWEEP_EVERY;
    if (this.#arena === null) this.#free.drop(LARGE, this.#stream.sequence - IDLE_COMMANDS, this.#release);
  }

  readonly #release = (ptr: number, capacity: number): void => {
    this.#stream.release(ptr);
    this.#hold(-capacity);
  };

  #reserve(capacity: number, nbytes: number): number {
    let ptr = 0;
    if (this.reserved + capacity <= this.#limit) ptr = this.#addon.reserve(this.#stream.native.handle, capacity);
    if (ptr === 0) {
      this.#makeRoom();
      if (this.reserved + capacity <= this.#limit) ptr = this.#addon.reserve(this.#stream.native.handle, capacity);
    }
    if (ptr !== 0) {
      this.#hold(capacity);
      return ptr;
    }
    const limit = this.#limit === Number.POSITIVE_INFINITY ? 'the system has no more' : `the limit is ${this.#limit}`;
    throw new AoError(
      'ERR_AO_MEMORY',
      `${nbytes} bytes cannot be had: ${this.live} bytes are live, ${this.reserved} reserved, ${limit}`,
      {
        op: 'alloc',
        fix: 'dispose tensors (scope, using), use smaller batches, or raise AO_MEMORY_LIMIT',
      },
    );
  }

  /** Gives every cached block back; waits, so that the memory is there before more is asked for. */
  #makeRoom(): void {
    if (this.#stream.recording) return;
    this.trim();
    this.#stream.wait();
  }

  #count(change: number): void {
    this.live += change;
    if (this.live > this.peak) this.peak = this.live;
  }

  /** Tells the garbage collector what is held from the system: what comes and goes inside that needs no collection. */
  #hold(change: number): void {
    this.reserved += change;
    const unreported = this.reserved - this.#reported;
    if (unreported < REPORT && unreported > -REPORT) return;
    this.#addon.reportMemory(unreported);
    this.#reported = this.reserved;
  }
}
