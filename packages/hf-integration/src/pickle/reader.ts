// Reader: the arguments of pickle's opcodes, each checked against the end of the bytes.

const TEXT = /*@__PURE__*/ new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Digits of an integer that torch.save has a use for (sizes, seeds). */
const MAX_LONG = 1024;

export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fail: (problem: string) => never;
  #at = 0;

  constructor(bytes: Uint8Array, fail: (problem: string) => never) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fail = fail;
  }

  get at(): number {
    return this.#at;
  }

  /** Where n bytes begin that are taken now. */
  #take(n: number): number {
    const from = this.#at;
    if (n > this.#bytes.length - from) this.#fail(`it ends at byte ${this.#bytes.length}, in the middle of a value`);
    this.#at += n;
    return from;
  }

  byte = (): number => this.#bytes[this.#take(1)]!;
  u16 = (): number => this.#view.getUint16(this.#take(2), true);
  u32 = (): number => this.#view.getUint32(this.#take(4), true);
  i32 = (): number => this.#view.getInt32(this.#take(4), true);
  f64 = (): number => this.#view.getFloat64(this.#take(8), false);

  u64(): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    return value <= BigInt(this.#bytes.length) ? Number(value) : this.#fail(`a length of ${value} bytes`);
  }

  bytes(n: number): Uint8Array {
    const from = this.#take(n);
    return this.#bytes.slice(from, from + n);
  }

  text(n: number): string {
    const from = this.#take(n);
    try {
      return TEXT.decode(this.#bytes.subarray(from, from + n));
    } catch {
      return this.#fail('a string is no UTF-8');
    }
  }

  latin1(n: number): string {
    return String.fromCharCode(...this.bytes(Math.min(n, 0xffff) === n ? n : this.#fail(`a string of ${n} bytes`)));
  }

  /** Up to the next line feed. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) this.#fail('a name has no end');
    const text = this.text(end - this.#at);
    this.#at = end + 1;
    return text;
  }

  /** A little-endian two's complement integer of n bytes: a number where it is one exactly, else a bigint. */
  long(n: number): number | bigint {
    if (n > MAX_LONG) this.#fail(`an integer of ${n} bytes`);
    let value = 0n;
    const digits = this.bytes(n);
    for (let i = n - 1; i >= 0; i--) value = (value << 8n) | BigInt(digits[i]!);
    if (n > 0 && digits[n - 1]! >= 128) value -= 1n << BigInt(8 * n);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
}
