// What a device must offer to run ops: memory, ordered transfers, capture and replay. Everything is stream-ordered: calls
// return at once and take effect in the order they were made, so a freed buffer may serve the next allocation.

/** A block of device memory. Backends extend it with their own address. */
export interface Buffer {
  readonly nbytes: number;
}

/** A recorded list of kernel calls with the arena its tensors live in. */
export interface PlanHandle {
  readonly commands: number;
}

export interface MemoryInfo {
  /** Bytes held by tensors, the largest value seen, and bytes held from the system. */
  readonly live: number;
  readonly peak: number;
  readonly reserved: number;
  /** Commands waiting, and how often enqueue had to wait for the stream. */
  readonly queued: number;
  readonly blocked: number;
}

export interface Backend {
  readonly name: string;
  /** Throws ERR_AO_MEMORY, naming the live bytes, where the limit is reached. */
  alloc(nbytes: number): Buffer;
  free(buffer: Buffer): void;
  /** Copies `bytes` before it returns; the device sees them in stream order. */
  write(buffer: Buffer, byteOffset: number, bytes: Uint8Array): void;
  /** Resolves with a copy once everything before it has run; rejects with the error that poisoned the buffer. */
  read(buffer: Buffer, byteOffset: number, nbytes: number): Promise<Uint8Array>;
  readSync(buffer: Buffer, byteOffset: number, nbytes: number): Uint8Array;
  /** Fills a buffer from an open file in stream order, past JavaScript's memory; `fd` stays open until it resolves. */
  readFileInto?(buffer: Buffer, byteOffset: number, nbytes: number, fd: number, position: number): Promise<void>;
  /** Copies from a buffer of another backend in the order of both, so that nobody waits; false where that backend has no such way. */
  copyFrom?(source: Backend, from: Buffer, fromOffset: number, to: Buffer, toOffset: number, nbytes: number): boolean;
  sync(): Promise<void>;
  /** While capturing: records a kernel call as a function; backends that record their own commands leave it out. */
  execute?(run: () => void): void;
  readonly capturing: boolean;
  beginCapture(): void;
  endCapture(): PlanHandle;
  replay(plan: PlanHandle): void;
  freePlan(plan: PlanHandle): void;
  /** Gives cached free memory back to the system. */
  trim(): void;
  memory(): MemoryInfo;
  info(): Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}
