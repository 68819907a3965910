// Automaton: which bytes may follow, for any context-free grammar. A state is the set of ways in which the text so far can
// be read; a way is a stack of what must still come. Stacks and states are interned and steps remembered, so that the
// automaton is built as far as texts go: a pushdown automaton whose visited part is a table.
// `least` is how many tokens suffice to the end: `cost` for a literal text, one for any other byte.
import { intern } from './intern.ts';
import { type Node, repeat } from './node.ts';

interface Stack {
  readonly id: number;
  readonly node: Node | undefined;
  readonly rest: Stack | undefined;
  /** Tokens that suffice to the end of the text. */
  readonly least: number;
}

export interface State {
  /** The text may end here. */
  readonly accepts: boolean;
  /** Nothing may follow. */
  readonly complete: boolean;
  /** Tokens that suffice to where the text may end. */
  readonly least: number;
  readonly ways: readonly Stack[];
  readonly next: (State | null | undefined)[];
}

const END: Stack = { id: 0, node: undefined, rest: undefined, least: 0 };

export class Automaton {
  readonly start: State;
  readonly #ids = new Map<Node, number>();
  readonly #cost: (text: Uint8Array) => number;
  readonly #least: Map<Node, number>;
  readonly #after = new Map<Node, Node>();
  readonly #repeats = new Map<Node, Map<string, Node>>();
  readonly #stacks = new Map<string, Stack>();
  readonly #states = new Map<string, State>();

  constructor(root: Node, cost: (text: Uint8Array) => number) {
    this.#cost = cost;
    this.#least = leastTokens(root, cost);
    this.start = this.#close([this.#push(root, END)]);
  }

  /** The state after one more byte; null where no text goes on like that. */
  step(state: State, byte: number): State | null {
    const known = state.next[byte];
    if (known !== undefined) return known;
    const rests: Stack[] = [];
    for (const { node, rest } of state.ways) {
      if (node?.kind === 'range' && byte >= node.low && byte <= node.high) rests.push(rest!);
      if (node?.kind === 'text' && byte === node.bytes[0])
        rests.push(node.bytes.length === 1 ? rest! : this.#push(this.#tail(node), rest!));
    }
    const next = rests.length === 0 ? null : this.#close(rests);
    state.next[byte] = next;
    return next;
  }

  #tokens(node: Node): number {
    return intern(this.#least, node, () => {
      // the only nodes made on the way are what is left of a text or a repetition
      if (node.kind === 'text') return this.#cost(node.bytes);
      return node.kind === 'repeat' && node.min > 0 ? node.min * this.#tokens(node.item) : 0;
    });
  }

  #tail(text: Extract<Node, { kind: 'text' }>): Node {
    return intern(this.#after, text, () => ({ kind: 'text', bytes: text.bytes.subarray(1) }));
  }

  #push(node: Node, rest: Stack): Stack {
    const id = intern(this.#ids, node, () => this.#ids.size);
    return intern(this.#stacks, `${id} ${rest.id}`, () => {
      return { id: this.#stacks.size + 1, node, rest, least: this.#tokens(node) + rest.least };
    });
  }

  /** What is left of a repetition after one round; the same node each time. */
  #left(item: Node, min: number, max: number): Node {
    const own = intern(this.#repeats, item, () => new Map<string, Node>());
    return intern(own, `${min} ${max}`, () => repeat(item, min, max));
  }

  /** Unfolds stacks until each begins with a byte. */
  #close(stacks: readonly Stack[]): State {
    const seen = new Set<Stack>();
    const ways: Stack[] = [];
    const open = [...stacks];
    for (let stack = open.pop(); stack !== undefined; stack = open.pop()) {
      if (seen.has(stack) || stack.least === Number.POSITIVE_INFINITY) continue;
      seen.add(stack);
      const { node, rest } = stack;
      if (node === undefined || node.kind === 'range' || node.kind === 'text') ways.push(stack);
      else if (node.kind === 'ref') open.push(this.#push(node.target, rest!));
      else if (node.kind === 'alt') for (const item of node.items) open.push(this.#push(item, rest!));
      else if (node.kind === 'seq') open.push(node.items.reduceRight((tail, item) => this.#push(item, tail), rest!));
      else {
        if (node.min === 0) open.push(rest!);
        if (node.max > 0) {
          const left = this.#left(node.item, Math.max(node.min - 1, 0), node.max - 1);
          open.push(this.#push(node.item, this.#push(left, rest!)));
        }
      }
    }
    ways.sort((a, b) => a.id - b.id);
    const key = ways.map((w) => w.id).join(' ');
    return intern(this.#states, key, () => {
      const accepts = ways[0] === END;
      const least = ways.reduce((n, w) => Math.min(n, w.least), Number.POSITIVE_INFINITY);
      return { accepts, complete: accepts && ways.length === 1, least, ways, next: [] };
    });
  }
}

/** Of each node the tokens that suffice for it, as the least fixed point over rules that hold themselves. */
function leastTokens(root: Node, cost: (text: Uint8Array) => number): Map<Node, number> {
  const least = new Map<Node, number>();
  const order: Node[] = [];
  const visit = [root];
  for (let node = visit.pop(); node !== undefined; node = visit.pop()) {
    if (least.has(node)) continue;
    least.set(node, Number.POSITIVE_INFINITY);
    order.push(node);
    if (node.kind === 'ref') visit.push(node.target);
    else if (node.kind === 'repeat') visit.push(node.item);
    else if (node.kind === 'alt' || node.kind === 'seq') visit.push(...node.items);
  }
  order.reverse();
  const of = (node: Node): number => least.get(node)!;
  const sum = (node: Node): number => {
    if (node.kind === 'range') return 1;
    if (node.kind === 'text') return cost(node.bytes);
    if (node.kind === 'ref') return of(node.target);
    if (node.kind === 'repeat') return node.min === 0 ? 0 : node.min * of(node.item);
    if (node.kind === 'seq') return node.items.reduce((n, item) => n + of(item), 0);
    return node.items.reduce((n, item) => Math.min(n, of(item)), Number.POSITIVE_INFINITY);
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order) {
      const n = sum(node);
      if (n < of(node)) {
        least.set(node, n);
        changed = true;
      }
    }
  }
  return least;
}
