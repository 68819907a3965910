// The runtime: extensions wired together. Tensors carry it, creation functions take it first, two live side by side.
import type { Backend } from './backend.ts';
import { capture, type Plan, type Recording } from './capture.ts';
import { dispatch } from './dispatch.ts';
import { AoError } from './errors.ts';
import type { Extension } from './extension.ts';
import { shared } from './identity.ts';
import type { Kind } from './kind.ts';
import { type Log, type LogMessage, onceLog } from './log.ts';
import type { AnyOp, Args } from './op.ts';
import { contiguous } from './ops/contiguous.ts';
import { clone } from './ops/copy.ts';
import type { Packer } from './packed.ts';
import { reference } from './reference/index.ts';
import { type Coverage, Registry } from './registry.ts';
import { Storage } from './storage.ts';
import type { Tape } from './tape.ts';
import type { Dense, Tensor } from './tensor.ts';
import type { Trait } from './trait.ts';

export interface RuntimeOptions {
  readonly use?: readonly Extension[];
  /** Where creation functions put tensors; by default the first native backend in `use`, else 'reference'. */
  readonly device?: string;
  readonly log?: Log;
}

export interface Runtime {
  readonly device: string;
  readonly devices: readonly string[];
  readonly kinds: ReadonlyMap<string, Kind>;
  backend(device: string): Backend;
  /** New memory on a device; inside a capture it belongs to the plan. */
  storage(device: string, nbytes: number): Storage;
  packer(device: string): Packer | undefined;
  /** Autograd, where an extension gives it. */
  readonly tape: Tape;
  /** Asks a config type's answer to a trait; throws ERR_AO_CONFIG naming the config where no extension answers. */
  ask<Rest extends readonly unknown[], R>(trait: Trait<Rest, R>, config: { readonly type: string }, ...rest: Rest): R;
  answers(trait: Trait<never, unknown> | { readonly id: string }, config: { readonly type: string }): boolean;
  /** Every op with where it runs and by what: the support matrix. */
  coverage(): readonly Coverage[];
  /** Records fn without running it; see Plan. */
  capture(fn: (...inputs: Dense[]) => unknown, ...inputs: readonly Tensor[]): Plan;
  dequantize(t: Tensor): Tensor;
  dispatch(op: AnyOp, args: Args): unknown;
  contiguous(t: Dense): Dense;
  checkReadable(backend: Backend, what: string): void;
  /** Op and module that run now, for errors that come later. */
  site(): { readonly op: string; readonly module: string };
  say(message: LogMessage, key?: string): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export class RuntimeImpl implements Runtime {
  readonly registry: Registry;
  readonly say: (message: LogMessage, key?: string) => void;
  readonly #backends = new Map<string, Backend>();
  device = 'reference';
  recording: Recording | null = null;
  currentOp = '';

  constructor(options: RuntimeOptions) {
    this.registry = new Registry([reference(), ...(options.use ?? [])]);
    this.say = onceLog(options.log);
  }

  async open(options: RuntimeOptions): Promise<void> {
    for (const ext of [reference(), ...(options.use ?? [])]) {
      const backend = await ext.open?.(this);
      if (backend !== undefined) this.#backends.set(backend.name, backend);
    }
    const native = [...this.#backends.keys()].find((name) => name !== 'reference');
    this.device = options.device ?? native ?? 'reference';
    this.backend(this.device);
  }

  get devices(): readonly string[] {
    return [...this.#backends.keys()];
  }

  get tape(): Tape {
    return this.registry.tape;
  }

  get kinds(): ReadonlyMap<string, Kind> {
    return this.registry.kinds;
  }

  backend(device: string): Backend {
    const found = this.#backends.get(device);
    if (found !== undefined) return found;
    throw new AoError('ERR_AO_DEVICE', `no device '${device}'; this runtime has ${this.devices.join(', ')}`, {
      fix: `give createRuntime the extension of that backend, for cpu: use: [cpu()] from '@ao/kernels-cpu'`,
    });
  }

  storage(device: string, nbytes: number): Storage {
    const backend = this.backend(device);
    const made = new Storage(backend, backend.alloc(nbytes));
    this.recording?.own.add(made);
    return made;
  }

  packer(device: string): Packer | undefined {
    return this.registry.packers.get(device);
  }

  ask<Rest extends readonly unknown[], R>(trait: Trait<Rest, R>, config: { readonly type: string }, ...rest: Rest): R {
    const run = this.registry.answer(trait.id, config.type);
    if (run !== undefined) return run(config, ...rest) as R;
    throw new AoError('ERR_AO_CONFIG', `no extension in use answers ${trait.id} for ${config.type}`, {
      fix: `add the extension that has it to createRuntime({ use }), e.g. quantization() from '@ao/quantization'; known here: ${this.registry.answering(trait.id).join(', ') || 'none'}`,
    });
  }

  answers(trait: { readonly id: string }, config: { readonly type: string }): boolean {
    return this.registry.answer(trait.id, config.type) !== undefined;
  }

  coverage(): readonly Coverage[] {
    return this.registry.coverage();
  }

  capture(fn: (...inputs: Dense[]) => unknown, ...inputs: readonly Tensor[]): Plan {
    return capture(this, fn, inputs);
  }

  dequantize(t: Tensor): Tensor {
    return t.kind === null ? t : t.kind.spec.dequantize(t as never);
  }

  dispatch(op: AnyOp, args: Args): unknown {
    return dispatch(this, op, args);
  }

  contiguous(t: Dense): Dense {
    return contiguous(t) as Dense;
  }

  clone(t: Dense): Dense {
    return clone(t) as Dense;
  }

  checkReadable(backend: Backend, what: string): void {
    if (!backend.capturing) return;
    throw new AoError('ERR_AO_STREAM', `${what} inside a capture: nothing has run yet`, {
      op: what,
      ...(shared().modulePath === '' ? {} : { module: shared().modulePath }),
      fix: 'return the tensor from the captured function and read it after replay',
    });
  }

  site(): { readonly op: string; readonly module: string } {
    return { op: this.currentOp, module: shared().modulePath };
  }

  async close(): Promise<void> {
    for (const backend of this.#backends.values()) await backend.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Wires extensions; their order does not matter. Rejects where a native backend cannot load. */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const rt = new RuntimeImpl(options);
  await rt.open(options);
  return rt;
}
