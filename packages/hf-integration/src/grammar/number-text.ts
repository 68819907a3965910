// JSON numbers as grammars: any, or those between two bounds. Between bounds a number is written without an exponent, and
// its digits are compared with those of the bounds from the left: as long as they are equal to a bound's, it counts.
import { alt, EMPTY, literal, NEVER, type Node, optional, range, repeat, seq } from './node.ts';

/** A bound of a number, exclusive or not. */
export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

const DIGIT = /*@__PURE__*/ range(0x30, 0x39);
/** Digits before the point: float64 holds every integer of this many. */
const INTEGER_DIGITS = 15;
const FRACTION_DIGITS = 15;

const WHOLE = /*@__PURE__*/ alt(literal('0'), seq(range(0x31, 0x39), repeat(DIGIT, 0, INTEGER_DIGITS - 1)));
const FRACTION = /*@__PURE__*/ seq(literal('.'), repeat(DIGIT, 1, FRACTION_DIGITS));
const EXPONENT = /*@__PURE__*/ seq(
  alt(literal('e'), literal('E')),
  optional(alt(literal('+'), literal('-'))),
  repeat(DIGIT, 1, 2),
);

/** Bounds must be written without an exponent: below 1e15 in size. */
export const canBound = (value: number): boolean =>
  Number.isFinite(value) && Math.abs(value) < 10 ** INTEGER_DIGITS && !String(value).includes('e');

export function numberText(integer: boolean, low?: Bound, high?: Bound): Node {
  if (low === undefined && high === undefined)
    return seq(optional(literal('-')), WHOLE, integer ? EMPTY : seq(optional(FRACTION), optional(EXPONENT)));
  const all = 10 ** INTEGER_DIGITS - 1;
  const [l, h] = [low ?? { value: -all, exclusive: false }, high ?? { value: all, exclusive: false }];
  const zero = { value: 0, exclusive: false };
  const above = { value: 0, exclusive: true };
  const flip = (b: Bound): Bound => ({ value: -b.value, exclusive: b.exclusive });
  const nonNegative = between(integer, l.value < 0 ? zero : l, h);
  const negative = between(integer, h.value >= 0 ? above : flip(h), flip(l));
  return alt(nonNegative, seq(literal('-'), negative));
}

/** From low to high, both 0 or more, without a sign. */
function between(integer: boolean, low: Bound, high: Bound): Node {
  if (high.value < low.value || high.value < 0) return NEVER;
  const [lowWhole, lowFraction = ''] = String(Math.abs(low.value)).split('.') as [string, string?];
  const [highWhole, highFraction = ''] = String(Math.abs(high.value)).split('.') as [string, string?];
  const places = integer ? 0 : Math.max(lowFraction.length, highFraction.length) + 2;
  const lengths: Node[] = [];
  for (let n = lowWhole.length; n <= highWhole.length; n++) {
    const l = n === lowWhole.length ? { whole: lowWhole, fraction: lowFraction, bound: low } : undefined;
    const h = n === highWhole.length ? { whole: highWhole, fraction: highFraction, bound: high } : undefined;
    lengths.push(digits(n, places, l, h));
  }
  return alt(...lengths);
}

interface Edge {
  readonly whole: string;
  readonly fraction: string;
  readonly bound: Bound;
}

/** Numbers of n digits before the point and up to `places` behind it. */
function digits(n: number, places: number, low: Edge | undefined, high: Edge | undefined): Node {
  const at = (edge: Edge, i: number): number => Number((edge.whole + edge.fraction)[i] ?? '0');
  /** Whether nothing but zeros follows digit i. */
  const zeros = (edge: Edge, i: number): boolean => /^0*$/.test((edge.whole + edge.fraction).slice(i));
  const known = new Map<string, Node>();
  const from = (i: number, onLow: boolean, onHigh: boolean): Node => {
    const key = `${i} ${onLow} ${onHigh}`;
    const old = known.get(key);
    if (old !== undefined) return old;
    const belowLow = onLow && (!zeros(low!, i) || low!.bound.exclusive);
    const equalsHigh = onHigh && zeros(high!, i);
    const mayEnd = i >= n && !belowLow && !(equalsHigh && high!.bound.exclusive);
    const options: Node[] = mayEnd ? [EMPTY] : [];
    if (i < n + places) {
      const least = onLow ? at(low!, i) : i === 0 && n > 1 ? 1 : 0;
      const most = onHigh ? at(high!, i) : 9;
      const point = i === n ? literal('.') : EMPTY;
      const digit = (a: number, b: number, l: boolean, h: boolean): void => {
        if (a <= b) options.push(seq(point, range(0x30 + a, 0x30 + b), from(i + 1, l, h)));
      };
      if (onLow && onHigh && least === most) digit(least, most, true, true);
      else {
        if (onLow) digit(least, least, true, false);
        digit(onLow ? least + 1 : least, onHigh ? most - 1 : most, false, false);
        if (onHigh) digit(most, most, false, true);
      }
    }
    const node = alt(...options);
    known.set(key, node);
    return node;
  };
  return from(0, low !== undefined, high !== undefined);
}
