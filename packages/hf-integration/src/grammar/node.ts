// Grammars over bytes: texts, ranges, sequences, alternatives, repetitions and references, so that rules may hold themselves.

export type Node =
  | { readonly kind: 'text'; readonly bytes: Uint8Array }
  | { readonly kind: 'range'; readonly low: number; readonly high: number }
  | { readonly kind: 'seq'; readonly items: readonly Node[] }
  | { readonly kind: 'alt'; readonly items: readonly Node[] }
  | { readonly kind: 'repeat'; readonly item: Node; readonly min: number; readonly max: number }
  | { readonly kind: 'ref'; target: Node };

/** One byte from low to high. */
export const range = (low: number, high: number): Node => ({ kind: 'range', low, high });

export const seq = (...items: readonly Node[]): Node => (items.length === 1 ? items[0]! : { kind: 'seq', items });

/** One of the items; of none is what nothing matches. */
export const alt = (...items: readonly Node[]): Node => (items.length === 1 ? items[0]! : { kind: 'alt', items });

export const repeat = (item: Node, min = 0, max = Number.POSITIVE_INFINITY): Node => ({
  kind: 'repeat',
  item,
  min,
  max,
});

export const optional = (item: Node): Node => repeat(item, 0, 1);

/** A node whose target is set later. */
export const reference = (): Extract<Node, { kind: 'ref' }> => ({ kind: 'ref', target: NEVER });

export const EMPTY: Node = { kind: 'seq', items: [] };
export const NEVER: Node = { kind: 'alt', items: [] };

/** The UTF-8 bytes of a text. */
export const literal = (text: string): Node =>
  text === '' ? EMPTY : { kind: 'text', bytes: new TextEncoder().encode(text) };
