// A native backend: core's Backend over one native stream, the cpu's or that of another addon with the same rows. Kernels enqueue through
// `calls`, with addresses of buffers.
import { AoError, type Backend, type Buffer, type Dense, type MemoryInfo, type PlanHandle } from '@ao/core';
import { Calls } from './abi.ts';
import type { Addon, PluginKernel } from './addon.ts';
import { Allocator, type CpuBuffer, type PlanArena } from './allocator.ts';
import { COPY, FOREIGN, MAX_QUEUED, READ, READ_FILE, RECEIVE, SEND, WRITE_INLINE, WRITE_STAGED } from './protocol.ts';
import { type NativePlan, Stream, type StreamOptions } from './stream.ts';

/** Up to this many bytes travel in the ring, and a read of an idle stream is done at once. */
const INLINE = 4096;
const READ_AT_ONCE = 1 << 20;
/** Copies of written bytes that may wait in memory. */
const MAX_STAGED = 64 << 20;

export interface BackendOptions extends StreamOptions {
  /** Bytes that may be reserved. */
  readonly memoryLimit: number;
  /** The addon's file, for info(). */
  readonly library: string;
}

export interface CpuPlan extends PlanHandle {
  readonly native: NativePlan;
  readonly arena: PlanArena;
  /** What it sends or receives at each replay. */
  readonly handoffs: readonly number[];
  freed: boolean;
}

export class CpuBackend implements Backend {
  readonly name: string;
  /** One method per row of exports.inc. */
  readonly calls: Calls;
  readonly #addon: Addon;
  readonly #options: BackendOptions;
  readonly #stream: Stream;
  readonly #allocator: Allocator;
  #staged = 0;
  /** Of the plan that is recorded. */
  #handoffs: number[] = [];

  constructor(addon: Addon, options: BackendOptions) {
    this.name = options.device ?? 'cpu';
    this.#addon = addon;
    this.#options = options;
    this.#stream = new Stream(addon, options);
    this.#allocator = new Allocator(addon, this.#stream, options.memoryLimit);
    this.calls = new Calls(this.#stream);
  }

  alloc(nbytes: number): CpuBuffer {
    return this.#allocator.alloc(nbytes);
  }

  free(buffer: Buffer): void {
    this.#allocator.free(buffer as CpuBuffer);
  }

  write(buffer: Buffer, byteOffset: number, bytes: Uint8Array): void {
    const b = this.#range(buffer, byteOffset, bytes.byteLength, 'write');
    const s = this.#stream;
    if (b.born === s.sequence || (s.idle && !s.poisoned)) {
      this.#addon.poke(s.native.handle, b.ptr + byteOffset, bytes);
      return;
    }
    const whole = bytes.byteLength === b.nbytes ? 1 : 0;
    if (bytes.byteLength <= INLINE) {
      this.#writeInline(b, byteOffset, bytes, whole);
      return;
    }
    if (s.idle) this.#staged = 0;
    else if (this.#staged + bytes.byteLength > MAX_STAGED) {
      s.blocked += 1;
      s.wait();
      this.#staged = 0;
    }
    this.#staged += bytes.byteLength;
    const staging = this.#addon.stage(s.native.handle, bytes);
    if (staging === 0)
      throw new AoError('ERR_AO_MEMORY', `no memory to copy ${bytes.byteLength} bytes`, {
        op: 'write',
        fix: 'write less at once',
      });
    const at = s.reserve(6);
    s.records.set([WRITE_STAGED, b.ptr, byteOffset, bytes.byteLength, whole, staging], at);
    s.commit(6);
  }

  /** Fills a buffer of at most 4,096 bytes with what never changes; in a capture the bytes are the plan's, written at each replay. */
  constant(buffer: Buffer, bytes: Uint8Array): void {
    this.#writeInline(this.#bounds(buffer, 0, bytes.byteLength, 'constant'), 0, bytes, 1);
  }

  /** Copies between buffers in stream order; a copy over the whole target heals it. */
  copy(to: Buffer, toOffset: number, from: Buffer, fromOffset: number, nbytes: number): void {
    const source = this.#bounds(from, fromOffset, nbytes, 'copy');
    const target = this.#bounds(to, toOffset, nbytes, 'copy');
    const at = this.#stream.reserve(7);
    this.#stream.records.set(
      [COPY, target.ptr, toOffset, source.ptr, fromOffset, nbytes, nbytes === target.nbytes ? 1 : 0],
      at,
    );
    this.#stream.commit(7);
  }

  copyFrom(source: Backend, from: Buffer, fromOffset: number, to: Buffer, toOffset: number, nbytes: number): boolean {
    const sender = source as Partial<CpuBackend>;
    if (sender.send === undefined) return false;
    const b = this.#bounds(to, toOffset, nbytes, 'copyFrom');
    const handoff = this.#addon.createHandoff(nbytes);
    if (handoff === 0)
      throw new AoError('ERR_AO_MEMORY', `no memory for ${nbytes} bytes on their way to ${this.name}`, {
        op: 'copyFrom',
        fix: 'move less at once',
      });
    sender.send(handoff, from, fromOffset, nbytes);
    const at = this.#stream.reserve(6);
    this.#stream.records.set([RECEIVE, handoff, b.ptr, toOffset, nbytes, nbytes === b.nbytes ? 1 : 0], at);
    this.#stream.commit(6);
    this.#endHandoff(handoff);
    return true;
  }

  /** The other end of copyFrom. */
  send(handoff: number, from: Buffer, fromOffset: number, nbytes: number): void {
    const b = this.#bounds(from, fromOffset, nbytes, 'copyFrom');
    const at = this.#stream.reserve(5);
    this.#stream.records.set([SEND, handoff, b.ptr, fromOffset, nbytes], at);
    this.#stream.commit(5);
    this.#endHandoff(handoff);
  }

  /** A plan's serve all its replays. */
  #endHandoff(handoff: number): void {
    if (this.capturing) this.#handoffs.push(handoff);
    else this.#stream.endHandoff(handoff);
  }

  /** Says that the next commands write all of a buffer: what it held, and what poisoned it, no longer matters. */
  discard(buffer: Buffer): void {
    this.#stream.discard(this.#bounds(buffer, 0, 0, 'discard').ptr);
  }

  async read(buffer: Buffer, byteOffset: number, nbytes: number): Promise<Uint8Array> {
    const b = this.#range(buffer, byteOffset, nbytes, 'read');
    if (nbytes <= READ_AT_ONCE && this.#stream.idle) return this.#peek(b, byteOffset, nbytes);
    const bytes = new Uint8Array(nbytes);
    const s = this.#stream;
    const { id, done } = s.request();
    const pin = this.#addon.pin(s.native.handle, bytes);
    const at = s.reserve(6);
    s.records.set([READ, b.ptr, byteOffset, nbytes, pin, id], at);
    s.commit(6);
    await done;
    return bytes;
  }

  readSync(buffer: Buffer, byteOffset: number, nbytes: number): Uint8Array {
    const b = this.#range(buffer, byteOffset, nbytes, 'readSync');
    this.#stream.wait();
    return this.#peek(b, byteOffset, nbytes);
  }

  /** Fills a buffer from a file in stream order, with no copy on the way; `fd` stays open until it resolves. */
  async readFileInto(buffer: Buffer, byteOffset: number, nbytes: number, fd: number, position: number): Promise<void> {
    const b = this.#range(buffer, byteOffset, nbytes, 'readFileInto');
    const s = this.#stream;
    const { id, done } = s.request();
    const at = s.reserve(8);
    s.records.set([READ_FILE, b.ptr, byteOffset, nbytes, nbytes === b.nbytes ? 1 : 0, fd, position, id], at);
    s.commit(8);
    await done;
  }

  async sync(): Promise<void> {
    this.refuseWhileCapturing('sync');
    await this.#stream.fence();
    this.#stream.collect();
  }

  get capturing(): boolean {
    return this.#stream.recording;
  }

  /** What the plan reads from outside has to stay allocated for as long as the plan; core's Recording sees to that. */
  beginCapture(): void {
    this.refuseWhileCapturing('beginCapture');
    this.#stream.record();
    this.#handoffs = [];
    this.#allocator.beginPlan();
  }

  endCapture(): CpuPlan {
    if (!this.capturing)
      throw new AoError('ERR_AO_STREAM', 'nothing is being captured', {
        op: 'endCapture',
        fix: 'call beginCapture first',
      });
    const native = this.#stream.endRecord();
    const handoffs = this.#handoffs;
    return { native, commands: native.commands, arena: this.#allocator.endPlan(), handoffs, freed: false };
  }

  replay(plan: PlanHandle): void {
    this.refuseWhileCapturing('replay');
    const p = plan as CpuPlan;
    if (p.freed)
      throw new AoError('ERR_AO_DISPOSED', `plan ${p.native.id} was freed`, { op: 'replay', fix: 'capture again' });
    this.#stream.replay(p.native);
  }

  freePlan(plan: PlanHandle): void {
    const p = plan as CpuPlan;
    if (p.freed || this.#stream.closed) return;
    this.refuseWhileCapturing('freePlan');
    p.freed = true;
    this.#stream.freePlan(p.native);
    for (const handoff of p.handoffs) this.#stream.endHandoff(handoff);
    this.#allocator.freePlan(p.arena);
  }

  /** For what cannot be recorded: reads, writes, packing. */
  refuseWhileCapturing(what: string): void {
    if (!this.capturing) return;
    const { op, module } = this.#options.site() ?? { op: '', module: '' };
    throw new AoError('ERR_AO_STREAM', `${what} inside a capture: nothing has run yet`, {
      op: op || what,
      ...(module ? { module } : {}),
      fix: `call ${what} before the capture or after replay`,
    });
  }

  /** Enqueues a kernel of a plugin. */
  runPlugin(kernel: PluginKernel, record: readonly number[]): void {
    const s = this.#stream;
    const length = 2 + kernel.length;
    const at = s.reserve(length);
    s.records[at] = FOREIGN;
    s.records[at + 1] = kernel.entry;
    s.records.set(record, at + 2);
    s.commit(length);
  }

  openPlugin(path: string): readonly PluginKernel[] {
    return this.#addon.openPlugin(path);
  }

  /** See Addon. */
  weightPackedSize(...args: Parameters<Addon['weightPackedSize']>): number {
    return this.#addon.weightPackedSize(...args);
  }

  trim(): void {
    if (this.#stream.closed || this.capturing) return;
    this.#allocator.trim();
  }

  memory(): MemoryInfo {
    const { live, peak, reserved } = this.#allocator;
    return { live, peak, reserved, queued: this.#stream.queued, blocked: this.#stream.blocked };
  }

  info(): Readonly<Record<string, unknown>> {
    const { isa, threads } = this.#stream.native;
    const { library, memoryLimit, check } = this.#options;
    return { isa, threads, library, memoryLimit, check, maxQueued: MAX_QUEUED };
  }

  async close(): Promise<void> {
    if (this.capturing) this.freePlan(this.endCapture());
    await this.#stream.close();
  }

  #peek(b: CpuBuffer, byteOffset: number, nbytes: number): Uint8Array {
    const bytes = new Uint8Array(nbytes);
    const failure = this.#addon.peek(this.#stream.native.handle, b.ptr, byteOffset, bytes);
    if (failure === 0) return bytes;
    this.#stream.collect();
    throw this.#stream.failures.error(failure);
  }

  #writeInline(b: CpuBuffer, byteOffset: number, bytes: Uint8Array, whole: number): void {
    const s = this.#stream;
    const length = 5 + Math.ceil(bytes.byteLength / 8);
    const at = s.reserve(length);
    s.records.set([WRITE_INLINE, b.ptr, byteOffset, bytes.byteLength, whole], at);
    new Uint8Array(s.records.buffer, (at + 5) * 8, bytes.byteLength).set(bytes);
    s.commit(length);
  }

  /** The buffer behind a transfer, which a capture cannot hold. */
  #range(buffer: Buffer, byteOffset: number, nbytes: number, op: string): CpuBuffer {
    this.refuseWhileCapturing(op);
    return this.#bounds(buffer, byteOffset, nbytes, op);
  }

  #bounds(buffer: Buffer, byteOffset: number, nbytes: number, op: string): CpuBuffer {
    const b = buffer as CpuBuffer;
    if (this.#stream.closed)
      throw new AoError('ERR_AO_DISPOSED', `the ${this.name} backend is closed`, {
        op,
        fix: 'use tensors before closing their runtime',
      });
    if (b.ptr === 0)
      throw new AoError('ERR_AO_DISPOSED', `${op} of a freed buffer`, { op, fix: 'use tensors before disposing them' });
    if (byteOffset >= 0 && nbytes >= 0 && byteOffset + nbytes <= b.nbytes) return b;
    throw new AoError('ERR_AO_SHAPE', `bytes ${byteOffset}..${byteOffset + nbytes} of a buffer of ${b.nbytes}`, {
      op,
      fix: 'stay inside the buffer',
    });
  }
}

/** The address of a dense tensor's first element. */
export function address(t: Dense): number {
  return (t.storage.buffer as CpuBuffer).ptr + t.offset * t.dtype.itemsize;
}
