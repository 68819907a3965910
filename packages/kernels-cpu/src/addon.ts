// The addon's functions, typed. Commands do not pass here: they are written to the shared ring (stream.ts).

/** A stream inside the addon. */
export interface StreamHandle {
  readonly __stream: never;
}

export interface NativeStream {
  readonly handle: StreamHandle;
  readonly control: ArrayBuffer;
  readonly ring: ArrayBuffer;
  readonly threads: number;
  readonly isa: string;
}

/** A command that failed: an eager one where plan is 0, else step `index` of that plan. */
export interface NativeFailure {
  readonly id: number;
  readonly sequence: number;
  readonly plan: number;
  readonly index: number;
  readonly op: string;
  readonly message: string;
}

/** A kernel of a plugin: the address of its description, and the doubles of a record. */
export interface PluginKernel {
  readonly name: string;
  readonly entry: number;
  readonly length: number;
}

export interface Addon {
  readonly abiHash: string;
  readonly protocol: string;
  createStream(
    threads: number,
    isa: string,
    check: boolean,
    onSettled: (id: number, failure: number) => void,
  ): NativeStream;
  wake(stream: StreamHandle): void;
  /** Blocks until `room` doubles are free and at most `queued` commands unfinished, of what was published so far. */
  wait(stream: StreamHandle, tail: number, room: number, sequence: number, queued: number): void;
  /** The address of a new block, 0 where memory is out. */
  reserve(stream: StreamHandle, nbytes: number): number;
  poke(stream: StreamHandle, address: number, bytes: Uint8Array): void;
  /** Copies a block's bytes out of an idle stream; returns the failure that poisons the block, or 0. */
  peek(stream: StreamHandle, block: number, offset: number, bytes: Uint8Array): number;
  stage(stream: StreamHandle, bytes: Uint8Array): number;
  pin(stream: StreamHandle, bytes: Uint8Array): number;
  /** The address of memory for bytes between two streams, 0 where memory is out. */
  createHandoff(nbytes: number): number;
  setBusy(stream: StreamHandle, busy: boolean): void;
  createPlan(stream: StreamHandle, id: number, records: Float64Array, length: number): number;
  takeFailures(stream: StreamHandle): NativeFailure[];
  close(stream: StreamHandle): void;
  reportMemory(change: number): void;
  /** Opens a library of kernels for the rest of the process; throws the reason. */
  openPlugin(path: string): readonly PluginKernel[];
  /** Bytes of a packed weight, -1 where no layout takes it; codes of kernels/cpu/include/ao/weights.h. */
  weightPackedSize(
    code: number,
    n: number,
    k: number,
    groupSize: number,
    zeroDomain: number,
    scaleDtype: number,
    zeroDtype: number,
    bits: number,
    activation: number,
  ): number;
}

/** The names an addon must export, for a check before it is used. */
export const ADDON_FUNCTIONS: readonly (keyof Addon)[] = [
  'createStream',
  'wake',
  'wait',
  'reserve',
  'poke',
  'peek',
  'stage',
  'pin',
  'createHandoff',
  'setBusy',
  'createPlan',
  'takeFailures',
  'close',
  'reportMemory',
  'weightPackedSize',
  'openPlugin',
];
