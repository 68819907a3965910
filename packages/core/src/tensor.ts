// Tensors: a dense view of a storage (shape, strides and offset in elements), or a tensor made of tensors (a kind).
// `data()` gives values as numbers, `bits()` the raw codes; both copy.
import { type DType, decodeValues, type RawArray, rawView, type ValueArray } from './dtype.ts';
import { AoError } from './errors.ts';
import { shared } from './identity.ts';
import type { Kind } from './kind.ts';
import type { PackedWeight } from './packed.ts';
import { formatTensor } from './print.ts';
import type { Runtime } from './runtime.ts';
import type { Storage } from './storage.ts';
import type { GradEdge } from './tape.ts';

export function numel(shape: readonly number[]): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** Row-major strides, in elements. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

export function isTensor(x: unknown): x is Tensor {
  return typeof x === 'object' && x !== null && (x as { isTensor?: unknown }).isTensor === true;
}

export function isDense(x: unknown): x is Dense {
  return isTensor(x) && x.kind === null;
}

export abstract class Tensor {
  declare readonly isTensor: true;
  readonly rt: Runtime;
  readonly shape: readonly number[];
  /** The dtype that values have for their user; a kind's codes have their own. */
  readonly dtype: DType;
  abstract readonly kind: Kind | null;
  /** Set by `prepare`: the backend's private layout of a frozen weight, in place of the plain bytes. */
  packed: PackedWeight | null = null;
  /** True for tensors that a scope must not dispose. */
  kept = false;
  /** A leaf's gradient after `backward`: dense, of this shape and dtype. */
  grad: Tensor | null = null;
  /** Where this tensor's gradient goes on; null for leaves. */
  gradFn: GradEdge | null = null;
  #requiresGrad = false;
  #disposed = false;

  constructor(rt: Runtime, shape: readonly number[], dtype: DType) {
    this.rt = rt;
    this.shape = shape;
    this.dtype = dtype;
  }

  static {
    Object.defineProperty(Tensor.prototype, 'isTensor', { value: true });
  }

  abstract readonly device: string;
  abstract data(): Promise<ValueArray>;
  abstract dataSync(): ValueArray;
  /** Raw codes in the dtype's storage array. */
  abstract bits(): Promise<RawArray>;
  abstract bitsSync(): RawArray;
  protected abstract free(): void;
  /** Called where a tensor leaves its last scope. */
  abstract guard(): void;

  get ndim(): number {
    return this.shape.length;
  }

  get numel(): number {
    return numel(this.shape);
  }

  get requiresGrad(): boolean {
    return this.#requiresGrad || this.gradFn !== null;
  }

  /** Makes this leaf one that `backward` gives a gradient; throws where its runtime has no autograd. */
  set requiresGrad(on: boolean) {
    this.#requiresGrad = this.rt.tape.leaf(this, on);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  async item(): Promise<number> {
    this.requireOne();
    return Number((await this.data())[0]);
  }

  itemSync(): number {
    this.requireOne();
    return Number(this.dataSync()[0]);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.free();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Throws ERR_AO_DISPOSED on a disposed tensor. */
  check(op?: string): void {
    if (this.#disposed) {
      throw new AoError('ERR_AO_DISPOSED', `a disposed tensor of shape [${this.shape}] was used`, {
        ...(op === undefined ? {} : { op }),
        fix: 'return it from the scope that made it, or keep(t)',
      });
    }
  }

  toString(): string {
    if (this.#disposed) return `Tensor(disposed, shape=[${this.shape}], dtype=${this.dtype.name})`;
    return formatTensor(this);
  }

  private requireOne(): void {
    if (this.numel !== 1) {
      throw new AoError('ERR_AO_SHAPE', `item() needs one element, the tensor has shape [${this.shape}]`, {
        fix: 'use data(), or select an element first',
      });
    }
  }
}

/** Adds a new tensor to the innermost scope, or gives it to the garbage collector where there is none. */
export function track(t: Tensor): void {
  const { scopes } = shared();
  const scope = scopes[scopes.length - 1];
  if (scope !== undefined) scope.push(t);
  else t.guard();
}

/** Proof that a tensor of a plan still holds what its replay wrote. */
export interface Lease {
  readonly stale: boolean;
}

export class Dense extends Tensor {
  readonly kind = null;
  readonly strides: readonly number[];
  /** In elements. */
  readonly offset: number;
  lease: Lease | null = null;
  readonly #storage: Storage;

  constructor(
    rt: Runtime,
    storage: Storage,
    shape: readonly number[],
    dtype: DType,
    strides?: readonly number[],
    offset = 0,
  ) {
    super(rt, shape, dtype);
    this.#storage = storage;
    this.strides = strides ?? contiguousStrides(shape);
    this.offset = offset;
    storage.retain();
    track(this);
  }

  get storage(): Storage {
    this.check();
    if (this.lease?.stale) {
      throw new AoError('ERR_AO_DISPOSED', 'an output of a plan was used after a later replay overwrote it', {
        fix: 'read it, or clone it, before the next replay',
      });
    }
    return this.#storage;
  }

  get device(): string {
    return this.#storage.backend.name;
  }

  get contiguous(): boolean {
    let step = 1;
    for (let i = this.shape.length - 1; i >= 0; i--) {
      const d = this.shape[i]!;
      if (d !== 1 && this.strides[i] !== step) return false;
      step *= d;
    }
    return true;
  }

  async bits(): Promise<RawArray> {
    return rawView(this.dtype, await this.fetch());
  }

  bitsSync(): RawArray {
    const plain = this.plain();
    const { storage } = plain;
    this.rt.checkReadable(storage.backend, 'bitsSync');
    const bytes = storage.backend.readSync(storage.buffer, plain.offset * plain.dtype.itemsize, plain.bytes());
    if (plain !== this) plain.dispose();
    return rawView(this.dtype, bytes);
  }

  async data(): Promise<ValueArray> {
    return decodeValues(this.dtype, rawView(this.dtype, await this.fetch()));
  }

  dataSync(): ValueArray {
    return decodeValues(this.dtype, this.bitsSync());
  }

  guard(): void {
    this.#storage.guard();
  }

  /** Drops the plain bytes of a packed weight; the tensor stays. */
  releaseBytes(): void {
    this.#storage.release();
  }

  protected free(): void {
    if (this.packed === null) this.#storage.release();
    else this.packed.dispose();
  }

  /** The plain bytes, on their way. */
  private fetch(): Promise<Uint8Array> {
    const plain = this.plain();
    const { storage } = plain;
    this.rt.checkReadable(storage.backend, 'bits');
    const bytes = storage.backend.read(storage.buffer, plain.offset * plain.dtype.itemsize, plain.bytes());
    return plain === this ? bytes : bytes.finally(() => plain.dispose());
  }

  /** A contiguous tensor of the plain values: this one, or a copy. */
  private plain(): Dense {
    this.check();
    if (this.packed !== null) return this.packed.unpack().codes;
    return this.contiguous ? this : this.rt.contiguous(this);
  }

  private bytes(): number {
    return this.numel * this.dtype.itemsize;
  }
}

/** A tensor made of tensors: its kind names the parts (also readable as properties, `t.qdata`) and the attributes. */
export class Wrapped<A = unknown> extends Tensor {
  readonly kind: Kind;
  readonly attrs: A;
  readonly #parts: Record<string, Tensor>;

  constructor(
    rt: Runtime,
    kind: Kind,
    parts: Record<string, Tensor>,
    attrs: A,
    shape: readonly number[],
    dtype: DType,
  ) {
    super(rt, shape, dtype);
    this.kind = kind;
    this.attrs = attrs;
    this.#parts = parts;
    for (const name of kind.partNames) {
      if (Object.hasOwn(this, name)) continue;
      Object.defineProperty(this, name, { get: () => this.parts[name], enumerable: false });
    }
    for (const part of Object.values(parts)) part.kept = true;
    track(this);
  }

  get device(): string {
    return this.packed?.device ?? Object.values(this.#parts)[0]!.device;
  }

  /** The plain parts; of a packed weight a fresh unpacked copy, bit for bit. */
  get parts(): Readonly<Record<string, Tensor>> {
    this.check();
    if (this.packed === null) return this.#parts;
    return { ...this.#parts, ...this.kind.fromWeight(this.packed.unpack(), this) };
  }

  /** The parts as they are held now: those that packing took are absent. */
  get held(): Readonly<Record<string, Tensor>> {
    return this.#parts;
  }

  /** Disposes the parts that a packed layout holds instead; of a part of a kind, that kind's. */
  releaseParts(names: readonly string[]): void {
    for (const name of names) {
      const part = this.#parts[name];
      if (part instanceof Wrapped) part.releaseParts(part.kind.spec.packs ?? []);
      else {
        part?.dispose();
        delete this.#parts[name];
      }
    }
  }

  async data(): Promise<ValueArray> {
    const dense = this.rt.dequantize(this);
    const values = await dense.data();
    dense.dispose();
    return values;
  }

  dataSync(): ValueArray {
    const dense = this.rt.dequantize(this);
    const values = dense.dataSync();
    dense.dispose();
    return values;
  }

  async bits(): Promise<RawArray> {
    return this.noBits();
  }

  bitsSync(): RawArray {
    return this.noBits();
  }

  guard(): void {
    for (const part of Object.values(this.#parts)) part.guard();
    this.packed?.guard();
  }

  protected free(): void {
    for (const part of Object.values(this.#parts)) part.dispose();
    this.packed?.dispose();
  }

  private noBits(): never {
    throw new AoError('ERR_AO_KERNEL', `a tensor of kind ${this.kind.name} has no single array of bits`, {
      fix: `read the bits of its parts: ${this.kind.partNames.join(', ')}`,
    });
  }
}
