// TokenTrie: which tokens may follow a state of an automaton. Tokens are walked in the order of their bytes; what two
// neighbours share is stepped once, and what begins like a refused one is passed over.
import type { Automaton, State } from './automaton.ts';

export class TokenTrie {
  readonly words: number;
  readonly #ids: readonly number[];
  readonly #bytes: readonly Uint8Array[];
  /** How many bytes each token shares with the one before. */
  readonly #shared: Int32Array;
  readonly #texts: ReadonlySet<string>;
  readonly #longest: number;

  /** Of each id its bytes; absent or none where a text never holds it. */
  constructor(tokens: readonly (Uint8Array | undefined)[], vocabSize: number) {
    this.words = Math.ceil(vocabSize / 32);
    const filled = tokens.slice(0, vocabSize).flatMap((bytes, id) => (bytes?.length ? [{ id, bytes }] : []));
    const keyed = filled.map((token) => ({ ...token, key: keyOf(token.bytes) }));
    keyed.sort((a, b) => Number(a.key > b.key) - Number(a.key < b.key));
    this.#ids = keyed.map((t) => t.id);
    this.#bytes = keyed.map((t) => t.bytes);
    this.#texts = new Set(keyed.map((t) => t.key));
    this.#shared = Int32Array.from(this.#bytes, (b, i) => (i === 0 ? 0 : sharedLength(b, this.#bytes[i - 1]!)));
    this.#longest = this.#bytes.reduce((n, b) => Math.max(n, b.length), 1);
  }

  /** Bit id % 32 of word id / 32: the token leads to where `left` more suffice. `furthest`: what the last of all, let in or not, needs. */
  allowed(automaton: Automaton, state: State, left: number): { mask: Int32Array; furthest: number } {
    const mask = new Int32Array(this.words);
    const path: (State | null)[] = [state];
    let furthest = 0;
    let dead = Number.POSITIVE_INFINITY; // depth from which the last token was refused
    for (let i = 0; i < this.#ids.length; i++) {
      const shared = this.#shared[i]!;
      if (shared >= dead) continue;
      dead = Number.POSITIVE_INFINITY;
      const bytes = this.#bytes[i]!;
      let at: State | null = path[shared]!;
      for (let d = shared; d < bytes.length; d++) {
        at = automaton.step(at, bytes[d]!);
        if (at === null) {
          dead = d + 1;
          break;
        }
        path[d + 1] = at;
      }
      if (at === null) continue;
      furthest = Math.max(furthest, at.least);
      if (at.least > left) continue;
      const id = this.#ids[i]!;
      mask[id >> 5]! |= 1 << (id & 31);
    }
    return { mask, furthest };
  }

  /** Whether every byte is a token, so that a text of n bytes takes at most n tokens. */
  get holdsBytes(): boolean {
    return new Set(this.#bytes.filter((b) => b.length === 1).map((b) => b[0])).size === 256;
  }

  /** Tokens of a text, each time the longest that fits: as many as are left at any later place when it is read from there. */
  count(text: Uint8Array): number {
    const known = this.#texts;
    let count = 0;
    for (let at = 0; at < text.length; count++) {
      let end = Math.min(at + this.#longest, text.length);
      while (end > at + 1 && !known.has(keyOf(text.subarray(at, end)))) end--;
      at = end;
    }
    return count;
  }
}

/** One character a byte: strings sort as their bytes do. */
const keyOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  let i = 0;
  while (i < n && a[i] === b[i]) i++;
  return i;
}
