// Capture and replay: `capture` records the kernel calls of fn without running them, into an arena of its own; a replay
// is one call of each backend that takes part. What changes between replays lives in tensors.
import type { Backend, PlanHandle } from './backend.ts';
import { AoError } from './errors.ts';
import type { Args } from './op.ts';
import { copy_ } from './ops/copy.ts';
import type { RuntimeImpl } from './runtime.ts';
import { scope } from './scope.ts';
import type { Storage } from './storage.ts';
import { Dense, isTensor, type Lease, type Tensor } from './tensor.ts';

/** Keeps what a plan reads alive for as long as the plan. */
export class Recording {
  readonly storages = new Set<Storage>();
  /** Made while recording: they live in the plan's arena, which may reuse them once they are freed. */
  readonly own = new WeakSet<Storage>();
  readonly aliases: Dense[] = [];

  /** The same values with handles of the plan's own, for backends that run recorded functions later. */
  alias<T>(x: T): T {
    if (Array.isArray(x)) return x.map((t) => this.alias(t)) as T;
    if (!isTensor(x) || x.packed !== null) return x;
    const t = x as unknown as Dense;
    const copy = new Dense(t.rt, t.storage, t.shape, t.dtype, t.strides, t.offset);
    copy.kept = true;
    this.aliases.push(copy);
    return copy as T;
  }

  retain(args: Args): void {
    for (const a of args) {
      if (Array.isArray(a)) this.retain(a);
      else if (isTensor(a)) {
        const storage = a.packed !== null ? a.packed.data.storage : (a as Dense).storage;
        if (this.storages.has(storage) || this.own.has(storage)) continue;
        this.storages.add(storage);
        storage.retain();
      }
    }
  }
}

/** What one device does of a plan. */
interface Part {
  readonly backend: Backend;
  readonly handle: PlanHandle;
}

/** Ends every recording; devices that got nothing to do have no part in the plan. */
function endCapture(backends: readonly Backend[], main: Backend): Part[] {
  const all = backends.map((backend) => ({ backend, handle: backend.endCapture() }));
  return all.filter(({ backend, handle }) => {
    const idle = handle.commands === 0 && backend !== main;
    if (idle) backend.freePlan(handle);
    return !idle;
  });
}

export class Plan {
  readonly #parts: readonly Part[];
  readonly #inputs: readonly Dense[];
  readonly #outputs: readonly Dense[];
  readonly #recording: Recording;
  #replays = 0;
  #disposed = false;

  constructor(parts: readonly Part[], inputs: readonly Dense[], outputs: readonly Dense[], recording: Recording) {
    this.#parts = parts;
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.#recording = recording;
  }

  /** Kernel calls in a replay. */
  get commands(): number {
    return this.#parts.reduce((n, { handle }) => n + handle.commands, 0);
  }

  /**
   * Copies the given inputs in and runs the recorded calls. The outputs are valid until the next replay; reading one
   * later throws ERR_AO_DISPOSED.
   */
  replay(...inputs: readonly Tensor[]): Dense[] {
    if (this.#disposed) throw new AoError('ERR_AO_DISPOSED', 'a disposed plan was replayed', { fix: 'capture again' });
    if (inputs.length > this.#inputs.length) {
      throw new AoError('ERR_AO_SHAPE', `the plan has ${this.#inputs.length} inputs, replay got ${inputs.length}`, {
        fix: 'give inputs in the order they were given to capture',
      });
    }
    inputs.forEach((x, i) => copy_(this.#inputs[i]!, x));
    for (const { backend, handle } of this.#parts) backend.replay(handle);
    const turn = ++this.#replays;
    const plan = this;
    const lease: Lease = {
      get stale() {
        return plan.#disposed || plan.#replays !== turn;
      },
    };
    return this.#outputs.map((o) => {
      const view = new Dense(o.rt, o.storage, o.shape, o.dtype, o.strides, o.offset);
      view.lease = lease;
      return view;
    });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const t of [...this.#inputs, ...this.#outputs, ...this.#recording.aliases]) t.dispose();
    for (const s of this.#recording.storages) s.release();
    for (const { backend, handle } of this.#parts) backend.freePlan(handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Records a synchronous fn over `inputs` (dense tensors, copied in at each replay). Reading data, preparing weights or
 * another capture inside fn throw ERR_AO_STREAM.
 */
export function capture(rt: RuntimeImpl, fn: (...inputs: Dense[]) => unknown, inputs: readonly Tensor[]): Plan {
  if (rt.recording !== null)
    throw new AoError('ERR_AO_STREAM', 'capture inside a capture', { fix: 'capture once, outside' });
  const main = rt.backend(inputs[0]?.device ?? rt.device);
  const backends = rt.devices.map((device) => rt.backend(device));
  const own = inputs.map((x) => {
    const same = rt.contiguous(x as Dense);
    const copy = same === x ? rt.clone(x as Dense) : same;
    copy.kept = true;
    return copy;
  });
  const recording = new Recording();
  rt.recording = recording;
  for (const backend of backends) backend.beginCapture();
  let result: unknown;
  try {
    result = scope(() => fn(...own));
  } catch (error) {
    rt.recording = null;
    new Plan(endCapture(backends, main), own, [], recording).dispose();
    throw error;
  }
  const parts = endCapture(backends, main);
  rt.recording = null;
  const outputs = (Array.isArray(result) ? result : [result]).filter(isTensor) as Dense[];
  for (const t of outputs) t.kept = true;
  for (const t of own) t.kept = true;
  return new Plan(parts, own, outputs, recording);
}
