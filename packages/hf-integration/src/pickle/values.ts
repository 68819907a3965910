// What a pickle holds, as plain data: dicts are Maps, lists arrays, and what has no like here one of these records.

/** A tuple; torch.Size too. */
export class PickleTuple {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** A class or function by its name; naming it does nothing. */
export class PickleGlobal {
  /** 'torch._utils._rebuild_tensor_v2' */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** An object that Python would make by calling `global` with `args`, and its state: nothing is called here. */
export class PickleObject {
  readonly global: string;
  readonly args: readonly unknown[];
  state: unknown = null;

  constructor(global: string, args: readonly unknown[]) {
    this.global = global;
    this.args = args;
  }

  /** An attribute of its state. */
  get(name: string): unknown {
    return this.state instanceof Map ? this.state.get(name) : undefined;
  }
}

/** A tensor of a class of its own, with the class, dtype and shape in `args` and its parts in `state`. */
export class TorchSubclass extends PickleObject {}

/** Bytes of a tensor, shared by all views of it. */
export interface TorchStorage {
  readonly key: string;
  /** As safetensors names it; undefined where the tensor says it. */
  readonly dtype: string | undefined;
  /** Elements, of bytes where the dtype is undefined. */
  readonly numel: number;
}

/** A strided view of a storage; offset and strides in elements. */
export class TorchTensor {
  readonly storage: TorchStorage;
  readonly dtype: string;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];

  constructor(
    storage: TorchStorage,
    dtype: string,
    offset: number,
    shape: readonly number[],
    stride: readonly number[],
  ) {
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.stride = stride;
  }
}
