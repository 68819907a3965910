// TextStream: ids in, text out, piece by piece; the pieces joined equal the whole decoded at once.
// A token may end inside a UTF-8 character; the decoder shows that as one U+FFFD at the end, which is held back until
// the next token settles it. The window is decoded from the last clean boundary, so a token's cost does not grow.
const INCOMPLETE = '\uFFFD';

export class TextStream {
  readonly #decode: (ids: readonly number[]) => string;
  #window: number[] = [];
  /** How many ids of the window, and how much of its text, the pieces so far cover. */
  #covered = 0;
  #emitted = 0;

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  /** The text that `id` completes; '' when it completes none. */
  push(id: number): string {
    this.#window.push(id);
    const text = this.#decode(this.#window);
    const settled = text.endsWith(INCOMPLETE) ? text.length - INCOMPLETE.length : text.length;
    const piece = text.slice(this.#emitted, settled);
    this.#emitted = Math.max(this.#emitted, settled);
    if (settled === text.length && text.length > 0) this.#slide();
    return piece;
  }

  /** What is still held back: a character that never got its last bytes. */
  end(): string {
    const piece = this.#decode(this.#window).slice(this.#emitted);
    this.#window = [];
    this.#covered = 0;
    this.#emitted = 0;
    return piece;
  }

  /** The ids before the last boundary can go: those after it stay as the context of the next token's spaces. */
  #slide(): void {
    this.#window.splice(0, this.#covered);
    this.#covered = this.#window.length;
    this.#emitted = this.#decode(this.#window).length;
  }
}
