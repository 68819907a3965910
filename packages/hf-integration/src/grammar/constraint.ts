// Constraint: a grammar over the tokens of one vocabulary; Matcher: how far one text has come in it. A mask also leaves out
// what could not be finished within the tokens that are left, so that the text ends in time.
import { AoError } from '@ao/core';
import { Automaton, type State } from './automaton.ts';
import { intern } from './intern.ts';
import type { Node } from './node.ts';
import { TokenTrie } from './token-trie.ts';

/** Masks that are kept; one has vocabSize / 8 bytes. */
const KEPT = 512;

export class Constraint {
  readonly automaton: Automaton;
  readonly tokens: readonly (Uint8Array | undefined)[];
  readonly #trie: TokenTrie;
  readonly #ends: readonly number[];
  readonly #masks = new Map<State, { mask: Int32Array; furthest: number }>();

  constructor(root: Node, tokens: readonly (Uint8Array | undefined)[], vocabSize: number, ends: ReadonlySet<number>) {
    this.tokens = tokens;
    this.#trie = trieOf(tokens, vocabSize);
    this.automaton = new Automaton(root, (text) => this.#trie.count(text));
    this.#ends = [...ends].filter((id) => id < vocabSize);
    if (this.automaton.start.least === Number.POSITIVE_INFINITY)
      throw new AoError('ERR_AO_CONFIG', 'responseFormat allows no text at all', {
        op: 'generate',
        fix: 'look for a schema that needs itself, or for false',
      });
  }

  /** int32 [ceil(V / 32)]: the tokens that may follow where `left` may follow them. */
  mask(state: State, left: number): Int32Array {
    const known = this.#masks.get(state);
    if (known !== undefined && known.furthest <= left) return known.mask;
    let found = this.#allowed(state, left);
    // in a vocabulary without all single bytes the end is not promised
    if (found.mask.every((word) => word === 0)) found = this.#allowed(state, Number.POSITIVE_INFINITY);
    if (found.furthest <= left) {
      if (this.#masks.size >= KEPT) this.#masks.clear();
      this.#masks.set(state, found);
    }
    return found.mask;
  }

  /** An end id is no text, whatever its bytes: it may come where the text may end. */
  #allowed(state: State, left: number): { mask: Int32Array; furthest: number } {
    const found = this.#trie.allowed(this.automaton, state, left);
    for (const id of this.#ends) {
      if (state.accepts) found.mask[id >> 5]! |= 1 << (id & 31);
      else found.mask[id >> 5]! &= ~(1 << (id & 31));
    }
    return found;
  }

  /** Tokens that suffice for a text; 1 where that is not known, as some bytes are no token. */
  get least(): number {
    return this.#trie.holdsBytes ? this.automaton.start.least : 1;
  }
}

/** The trie of a tokenizer's tokens is made once for each size of vocabulary. */
const tries = /*@__PURE__*/ new WeakMap<object, Map<number, TokenTrie>>();

function trieOf(tokens: readonly (Uint8Array | undefined)[], vocabSize: number): TokenTrie {
  const own = tries.get(tokens) ?? new Map<number, TokenTrie>();
  tries.set(tokens, own);
  return intern(own, vocabSize, () => new TokenTrie(tokens, vocabSize));
}

export class Matcher {
  readonly #constraint: Constraint;
  #state: State;

  constructor(constraint: Constraint) {
    this.#constraint = constraint;
    this.#state = constraint.automaton.start;
  }

  /** Takes a chosen token that does not end the text. */
  accept(id: number): void {
    let at: State | null = this.#state;
    const bytes = this.#constraint.tokens[id];
    for (const byte of bytes ?? []) at = at && this.#constraint.automaton.step(at, byte);
    if (at === null || !bytes?.length)
      throw new AoError('ERR_AO_CONFIG', `token ${id} was chosen where responseFormat forbids it`, {
        op: 'generate',
        fix: 'logitBias or noRepeatNgramSize forbid all that the format allows: leave them out',
      });
    this.#state = at;
  }

  /** Nothing may follow. */
  get complete(): boolean {
    return this.#state.complete;
  }

  /** The tokens that may come next, where `left` may come after that. */
  mask(left: number): Int32Array {
    return this.#constraint.mask(this.#state, left);
  }
}
