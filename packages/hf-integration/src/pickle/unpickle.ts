// unpickle(bytes): the data of a pickle (protocols 2 to 5), for what torch.save writes. It is read, never run: a global is a name
// that must be allowed, a call becomes a record of its name and arguments, and nothing is imported or called.
import { AoError } from '@ao/core';
import { Reader } from './reader.ts';
import { PickleGlobal, PickleObject, PickleTuple } from './values.ts';

export interface UnpickleOptions {
  /** For messages. */
  readonly name: string;
  /** Whether a global may appear. */
  allows(global: string): boolean;
  /** What a call of a global gives; undefined = a record of it. */
  call?(global: string, args: readonly unknown[]): unknown;
  /** What a persistent id stands for. */
  persistent?(id: unknown): unknown;
}

const MARK = Symbol('mark');
/** Objects are made of bytes of the file: no more than these can be there. */
const MAX_DEPTH = 1 << 20;

export function unpickle(bytes: Uint8Array, options: UnpickleOptions): unknown {
  return new Machine(bytes, options).run();
}

class Machine {
  readonly #in: Reader;
  readonly #options: UnpickleOptions;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();

  constructor(bytes: Uint8Array, options: UnpickleOptions) {
    this.#options = options;
    this.#in = new Reader(bytes, (problem) => this.fail(problem));
  }

  run(): unknown {
    for (;;) {
      const at = this.#in.at;
      const op = this.#in.byte();
      if (op === 0x2e) return this.#pop();
      const step = OPS[op];
      if (step === undefined) {
        this.fail(`opcode 0x${op.toString(16)} at byte ${at} is none that torch.save writes`);
      }
      step(this, this.#in);
      if (this.#stack.length > MAX_DEPTH) this.fail('its stack grows without end');
    }
  }

  fail(problem: string, fix = 'the file is damaged, or holds more than tensors: save its state_dict alone'): never {
    throw new AoError('ERR_AO_FORMAT', `${this.#options.name}: pickle: ${problem}`, { fix });
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop = (): unknown => this.#pop();

  #pop(): unknown {
    if (this.#stack.length === 0 || this.#stack.at(-1) === MARK) this.fail('it takes a value that is not there');
    return this.#stack.pop();
  }

  top(): unknown {
    const value = this.#stack.at(-1);
    if (this.#stack.length === 0 || value === MARK) this.fail('it takes a value that is not there');
    return value;
  }

  mark(): void {
    this.#stack.push(MARK);
  }

  /** What lies above the last mark. */
  marked(): unknown[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at < 0) this.fail('a mark is missing');
    const items = this.#stack.splice(at);
    items.shift();
    return items;
  }

  put(index: number): void {
    this.#memo.set(index, this.top());
  }

  memoize(): void {
    this.put(this.#memo.size);
  }

  recall(index: number): void {
    if (!this.#memo.has(index)) this.fail(`it recalls ${index}, which was not stored`);
    this.push(this.#memo.get(index));
  }

  global(module: unknown, name: unknown): void {
    const full = `${String(module)}.${String(name)}`;
    if (typeof module !== 'string' || typeof name !== 'string' || !this.#options.allows(full)) {
      this.fail(
        `it names ${full}, which is not allowed`,
        `if you trust it as data, allow it: addSafeGlobals(['${full}']) (nothing of it is run); or save the state_dict as safetensors`,
      );
    }
    this.push(new PickleGlobal(full));
  }

  reduce(): void {
    const args = this.tuple();
    const made = this.#pop();
    if (!(made instanceof PickleGlobal)) this.fail('it calls what is no global');
    this.push(this.#options.call?.(made.name, args) ?? new PickleObject(made.name, args));
  }

  /** NEWOBJ_EX: keyword arguments are kept behind the others. */
  newObjectEx(): void {
    const named = this.#pop();
    const args = this.tuple();
    const made = this.#pop();
    if (!(made instanceof PickleGlobal)) this.fail('it makes an object of what is no global');
    this.push(new PickleObject(made.name, [...args, named]));
  }

  build(): void {
    const state = this.#pop();
    const value = this.top();
    if (value instanceof PickleObject) value.state = state;
    // an OrderedDict's attributes (_metadata) say nothing about tensors
    else if (!(value instanceof Map)) this.fail('it gives a state to what has none');
  }

  tuple(): readonly unknown[] {
    const value = this.#pop();
    if (value instanceof PickleTuple) return value.items;
    return this.fail('arguments are no tuple');
  }

  persistent(): void {
    const id = this.#pop();
    if (this.#options.persistent === undefined) this.fail('it has a persistent id');
    this.push(this.#options.persistent(id));
  }

  setItems(items: readonly unknown[]): void {
    const dict = this.top();
    if (items.length % 2 !== 0) this.fail('a key has no value');
    if (!(dict instanceof Map)) this.fail('it sets items of what is no dict');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (list instanceof Set) for (const item of items) list.add(item);
    else if (Array.isArray(list)) for (const item of items) list.push(item);
    else this.fail('it appends to what is no list');
  }
}

type Step = (m: Machine, read: Reader) => void;

const tupleOf =
  (n: number): Step =>
  (m) => {
    const items = Array.from({ length: n }, () => m.pop()).reverse();
    m.push(new PickleTuple(items));
  };
const ignore: Step = () => {};

/** By opcode, as pickletools lists them. */
const OPS: Readonly<Record<number, Step>> = {
  128: (m, r) => {
    const protocol = r.byte();
    if (protocol < 2 || protocol > 5) m.fail(`protocol ${protocol}, 2 to 5 are read`);
  },
  149: (_m, r) => void r.u64(),
  40: (m) => m.mark(),
  48: (m) => void m.pop(),
  49: (m) => void m.marked(),
  50: (m) => m.push(m.top()),
  78: (m) => m.push(null),
  136: (m) => m.push(true),
  137: (m) => m.push(false),
  74: (m, r) => m.push(r.i32()),
  75: (m, r) => m.push(r.byte()),
  77: (m, r) => m.push(r.u16()),
  138: (m, r) => m.push(r.long(r.byte())),
  139: (m, r) => m.push(r.long(r.u32())),
  71: (m, r) => m.push(r.f64()),
  88: (m, r) => m.push(r.text(r.u32())),
  140: (m, r) => m.push(r.text(r.byte())),
  141: (m, r) => m.push(r.text(r.u64())),
  85: (m, r) => m.push(r.latin1(r.byte())),
  84: (m, r) => m.push(r.latin1(r.u32())),
  67: (m, r) => m.push(r.bytes(r.byte())),
  66: (m, r) => m.push(r.bytes(r.u32())),
  142: (m, r) => m.push(r.bytes(r.u64())),
  150: (m, r) => m.push(r.bytes(r.u64())),
  41: tupleOf(0),
  133: tupleOf(1),
  134: tupleOf(2),
  135: tupleOf(3),
  116: (m) => m.push(new PickleTuple(m.marked())),
  93: (m) => m.push([]),
  108: (m) => m.push(m.marked()),
  97: (m) => {
    const item = m.pop();
    m.append([item]);
  },
  101: (m) => m.append(m.marked()),
  125: (m) => m.push(new Map()),
  100: (m) => {
    const items = m.marked();
    m.push(new Map());
    m.setItems(items);
  },
  115: (m) => {
    const value = m.pop();
    const key = m.pop();
    m.setItems([key, value]);
  },
  117: (m) => m.setItems(m.marked()),
  143: (m) => m.push(new Set()),
  144: (m) => m.append(m.marked()),
  145: (m) => m.push(new Set(m.marked())),
  104: (m, r) => m.recall(r.byte()),
  106: (m, r) => m.recall(r.u32()),
  113: (m, r) => m.put(r.byte()),
  114: (m, r) => m.put(r.u32()),
  148: (m) => m.memoize(),
  99: (m, r) => m.global(r.line(), r.line()),
  147: (m) => {
    const name = m.pop();
    m.global(m.pop(), name);
  },
  82: (m) => m.reduce(),
  129: (m) => m.reduce(),
  146: (m) => m.newObjectEx(),
  98: (m) => m.build(),
  81: (m) => m.persistent(),
  151: ignore,
  152: ignore,
};
