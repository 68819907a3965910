// Extensions: all that a package can contribute to a runtime, as plain frozen entries made by pure builders.
import type { Backend } from './backend.ts';
import type { Kind } from './kind.ts';
import type { AnyOp, Args, Op, Outs } from './op.ts';
import type { Packer } from './packed.ts';
import type { Runtime } from './runtime.ts';
import type { Tape } from './tape.ts';
import type { Dense, Tensor } from './tensor.ts';
import type { Trait } from './trait.ts';

/** Tensor arguments as a kernel sees them: dense, on its device. */
export type OnDevice<A extends Args> = {
  [K in keyof A]: A[K] extends readonly (Tensor | undefined)[] | undefined
    ? Dense[] | Extract<A[K], undefined>
    : Tensor extends A[K]
      ? Dense | Exclude<A[K], Tensor>
      : A[K];
};

export interface KernelOptions<A extends Args> {
  readonly name?: string;
  /** Higher runs first; two kernels of equal priority need different names. */
  readonly priority?: number;
  when?(...args: OnDevice<A>): boolean;
  /** Takes strided tensors as they are; otherwise dense arguments arrive contiguous. */
  readonly strided?: boolean;
  /** Runs on the packed weight at the op's `weightArg`. */
  readonly packed?: boolean;
}

export interface KernelEntry {
  readonly type: 'kernel';
  readonly op: AnyOp;
  readonly device: string;
  readonly name: string;
  readonly priority: number;
  readonly strided: boolean;
  readonly packed: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: erased
  readonly when: ((...args: any[]) => boolean) | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: erased
  readonly run: (out: any, ...args: any[]) => void;
}

export interface OverrideEntry {
  readonly type: 'override';
  readonly op: AnyOp;
  readonly arg: number;
  readonly kind: Kind;
  // biome-ignore lint/suspicious/noExplicitAny: erased
  readonly run: (...args: any[]) => unknown;
}

/** A config type as its factory carries it. */
export interface ConfigType<C> {
  readonly type: string;
  readonly _config?: C;
}

export interface AnswerEntry {
  readonly type: 'answer';
  readonly trait: string;
  readonly config: string;
  // biome-ignore lint/suspicious/noExplicitAny: erased
  readonly run: (config: any, ...rest: any[]) => unknown;
}

export interface PackerEntry {
  readonly type: 'packer';
  readonly device: string;
  readonly packer: Packer;
}

/** Makes a kind known to loaders by its file type. */
export interface KindEntry {
  readonly type: 'kind';
  readonly kind: Kind;
}

/** An op's derivative; `vjp` of @ao/core/autograd makes it. */
export interface VjpEntry {
  readonly type: 'vjp';
  readonly op: AnyOp;
  readonly run: unknown;
  /** Called in the op's place where a gradient is required: it returns what the op does and, behind that, what backward wants besides. */
  readonly forward?: AnyOp;
}

export interface TapeEntry {
  readonly type: 'tape';
  readonly tape: Tape;
}

export type Entry = KernelEntry | OverrideEntry | AnswerEntry | PackerEntry | KindEntry | VjpEntry | TapeEntry;

export interface Extension {
  readonly name: string;
  readonly entries: readonly Entry[];
  /** Loads what is native; the backend it returns becomes a device of the runtime. */
  open?(rt: Runtime): Promise<Backend | undefined>;
}

/** A native or reference kernel: writes `out` (allocated from the op's meta), reads the rest. */
export function kernel<A extends Args, R>(
  op: Op<A, R>,
  device: string,
  run: (out: Outs<R, Dense>, ...args: OnDevice<A>) => void,
  options: KernelOptions<A> = {},
): KernelEntry {
  return {
    type: 'kernel',
    op: op as unknown as AnyOp,
    device,
    name: options.name ?? op.id,
    priority: options.priority ?? 0,
    strided: options.strided ?? false,
    packed: options.packed ?? false,
    when: options.when as KernelEntry['when'],
    run: run as KernelEntry['run'],
  };
}

/** What an op does where the argument at position `arg` has the kind. */
export function override<A extends Args, R, T extends Tensor>(
  op: Op<A, R>,
  arg: number,
  kind: Kind<T>,
  run: (...args: { [K in keyof A]: A[K] extends Tensor ? A[K] | T : A[K] }) => R,
): OverrideEntry {
  return { type: 'override', op: op as unknown as AnyOp, arg, kind, run: run as OverrideEntry['run'] };
}

/** A config type's answer to a trait. */
export function answer<C, Rest extends readonly unknown[], R>(
  trait: Trait<Rest, R>,
  config: ConfigType<C>,
  run: (config: C, ...rest: Rest) => R,
): AnswerEntry {
  return { type: 'answer', trait: trait.id, config: config.type, run };
}

export function packer(device: string, p: Packer): PackerEntry {
  return { type: 'packer', device, packer: p };
}

export function kindEntry(kind: Kind): KindEntry {
  return { type: 'kind', kind };
}
