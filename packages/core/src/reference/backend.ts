// The reference backend: plain TypeScript, synchronous, exact and slow; the oracle for all others.
import type { Backend, Buffer, MemoryInfo, PlanHandle } from '../backend.ts';
import { AoError } from '../errors.ts';
import type { RefBuffer } from './memory.ts';

interface RefPlan extends PlanHandle {
  readonly runs: readonly (() => void)[];
}

export class ReferenceBackend implements Backend {
  readonly name = 'reference';
  #recording: (() => void)[] | null = null;
  #live = 0;
  #peak = 0;

  alloc(nbytes: number): RefBuffer {
    let bytes: ArrayBuffer;
    try {
      bytes = new ArrayBuffer(Math.max(8, Math.ceil(nbytes / 8) * 8));
    } catch {
      throw new AoError('ERR_AO_MEMORY', `cannot allocate ${nbytes} bytes; ${this.#live} bytes are live`, {
        fix: 'dispose tensors, or use scope(fn)',
      });
    }
    this.#live += bytes.byteLength;
    this.#peak = Math.max(this.#peak, this.#live);
    return { nbytes, bytes };
  }

  free(buffer: Buffer): void {
    this.#live -= (buffer as RefBuffer).bytes.byteLength;
  }

  write(buffer: Buffer, byteOffset: number, bytes: Uint8Array): void {
    new Uint8Array((buffer as RefBuffer).bytes, byteOffset, bytes.byteLength).set(bytes);
  }

  async read(buffer: Buffer, byteOffset: number, nbytes: number): Promise<Uint8Array> {
    return this.readSync(buffer, byteOffset, nbytes);
  }

  readSync(buffer: Buffer, byteOffset: number, nbytes: number): Uint8Array {
    return new Uint8Array((buffer as RefBuffer).bytes, byteOffset, nbytes).slice();
  }

  async sync(): Promise<void> {}

  execute(run: () => void): void {
    if (this.#recording === null) run();
    else this.#recording.push(run);
  }

  get capturing(): boolean {
    return this.#recording !== null;
  }

  beginCapture(): void {
    this.#recording = [];
  }

  endCapture(): RefPlan {
    const runs = this.#recording ?? [];
    this.#recording = null;
    return { runs, commands: runs.length };
  }

  replay(plan: PlanHandle): void {
    for (const run of (plan as RefPlan).runs) run();
  }

  freePlan(): void {}

  trim(): void {}

  memory(): MemoryInfo {
    return { live: this.#live, peak: this.#peak, reserved: this.#live, queued: 0, blocked: 0 };
  }

  info(): Readonly<Record<string, unknown>> {
    return { backend: 'reference', threads: 1 };
  }

  async close(): Promise<void> {}
}
