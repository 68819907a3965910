// JSON texts (RFC 8259) as grammars: white space, strings, arrays, objects and any value.
import { type CodePoints, complement, intersect, single, union, utf8 } from './code-points.ts';
import { intern } from './intern.ts';
import { alt, EMPTY, literal, NEVER, type Node, optional, range, reference, repeat, seq } from './node.ts';
import { numberText } from './number-text.ts';

/** Nothing, a space, or a new line with its indent: never without end. */
export const SPACE = /*@__PURE__*/ optional(
  alt(literal(' '), seq(literal('\n'), repeat(alt(literal(' '), literal('\t')), 0, 24))),
);
const COMMA = /*@__PURE__*/ seq(literal(','), SPACE);

/** Code points that a string must escape; the rest stand for themselves. */
const ESCAPED: CodePoints = /*@__PURE__*/ union([[0, 0x1f]], single(0x22, 0x5c));
const PLAIN = /*@__PURE__*/ complement(ESCAPED);
const hex = /*@__PURE__*/ alt(range(0x30, 0x39), range(0x41, 0x46), range(0x61, 0x66));
const oneOf = (chars: string): Node => alt(...[...chars].map(literal));

/** \uXXXX of one code point: two of them, high before low, beyond the basic plane. */
const UNICODE = /*@__PURE__*/ seq(
  literal('\\u'),
  alt(
    seq(oneOf('0123456789abcefABCEF'), repeat(hex, 3, 3)),
    seq(oneOf('dD'), oneOf('01234567'), repeat(hex, 2, 2)),
    seq(
      oneOf('dD'),
      oneOf('89abAB'),
      repeat(hex, 2, 2),
      literal('\\u'),
      oneOf('dD'),
      oneOf('cdefCDEF'),
      repeat(hex, 2, 2),
    ),
  ),
);
const CHARACTER = /*@__PURE__*/ alt(utf8(PLAIN), seq(literal('\\'), oneOf('"\\/bfnrt')), UNICODE);

const quoted = (inside: Node): Node => seq(literal('"'), inside, literal('"'));

/** A string of min to max characters (code points). */
export const stringText = (min = 0, max = Number.POSITIVE_INFINITY): Node => quoted(repeat(CHARACTER, min, max));

/** A string whose content is what `inside` describes, made of `stringCharacters`. */
export const stringOf = quoted;

/** One code point of the set as a string holds it: escaped only where it must be. */
export function stringCharacters(set: CodePoints): Node {
  const escaped: Node[] = [];
  for (const [low, high] of intersect(set, ESCAPED))
    for (let p = low; p <= high; p++) escaped.push(literal(JSON.stringify(String.fromCodePoint(p)).slice(1, -1)));
  return alt(utf8(intersect(set, PLAIN)), ...escaped);
}

interface Names {
  ends: boolean;
  readonly next: Map<number, Names>;
}

/** A key that is none of `names`, without escapes. */
export function otherKey(names: readonly string[]): Node {
  const root: Names = { ends: false, next: new Map() };
  for (const name of names) {
    let at = root;
    for (const char of name) {
      const point = char.codePointAt(0)!;
      at = intern(at.next, point, () => ({ ends: false, next: new Map() }));
    }
    at.ends = true;
  }
  const rest = repeat(utf8(PLAIN));
  const without = ({ ends, next }: Names): Node =>
    alt(
      ends ? NEVER : EMPTY,
      seq(utf8(intersect(PLAIN, complement(single(...next.keys())))), rest),
      ...[...next].map(([point, child]) => seq(utf8(intersect(PLAIN, single(point))), without(child))),
    );
  return quoted(without(root));
}

export interface Member {
  readonly key: string;
  readonly value: Node;
  readonly required: boolean;
}

/** The members in their order, optional ones left out or not; then any number of others where `other` describes them. */
export function objectText(members: readonly Member[], other: Node | undefined): Node {
  const others = other && seq(otherKey(members.map((m) => m.key)), literal(':'), SPACE, other);
  let first = others === undefined ? EMPTY : optional(seq(others, repeat(seq(COMMA, others))));
  let after = others === undefined ? EMPTY : repeat(seq(COMMA, others));
  for (const { key, value, required } of [...members].reverse()) {
    const member = seq(literal(`${JSON.stringify(key)}:`), SPACE, value);
    first = required ? seq(member, after) : alt(seq(member, after), first);
    after = seq(required ? seq(COMMA, member) : optional(seq(COMMA, member)), after);
  }
  return seq(literal('{'), SPACE, first, SPACE, literal('}'));
}

/** `prefix`, then any number of `item` where there is one; min to max elements in all. */
export function arrayText(
  prefix: readonly Node[],
  item: Node | undefined,
  min = 0,
  max = Number.POSITIVE_INFINITY,
): Node {
  const from = (i: number): Node => {
    const comma = i > 0 ? COMMA : EMPTY;
    if (i >= max) return i >= min ? EMPTY : NEVER;
    if (i < prefix.length) {
      const more = seq(comma, prefix[i]!, from(i + 1));
      return i >= min ? optional(more) : more;
    }
    if (item === undefined) return i >= min ? EMPTY : NEVER;
    if (i > 0) return repeat(seq(COMMA, item), Math.max(min - i, 0), max - i);
    const some = seq(item, repeat(seq(COMMA, item), Math.max(min - 1, 0), max - 1));
    return min === 0 ? optional(some) : some;
  };
  return min > max ? NEVER : seq(literal('['), SPACE, from(0), SPACE, literal(']'));
}

/** Any value, of any depth. */
export function anyText(): Node {
  const any = reference();
  any.target = alt(
    objectText([], any),
    arrayText([], any),
    stringText(),
    numberText(false),
    ...['true', 'false', 'null'].map(literal),
  );
  return any;
}
