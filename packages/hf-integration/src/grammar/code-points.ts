// Sets of Unicode code points as sorted ranges, and the UTF-8 bytes of one of them as a grammar. Surrogates are in no set.
import { intern } from './intern.ts';
import { alt, type Node, range, seq } from './node.ts';

export type CodePoints = readonly (readonly [low: number, high: number])[];

const LAST = 0x10ffff;
export const ANY: CodePoints = [
  [0, 0xd7ff],
  [0xe000, LAST],
];

/** Joined and sorted, without surrogates. */
export function union(...sets: readonly CodePoints[]): CodePoints {
  const out: [number, number][] = [];
  for (const [low, high] of sets.flat().sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else out.push([low, high]);
  }
  return out;
}

export function complement(set: CodePoints): CodePoints {
  const out: [number, number][] = [];
  let from = 0;
  for (const [low, high] of union(set)) {
    if (low > from) out.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= LAST) out.push([from, LAST]);
  return out;
}

export function intersect(a: CodePoints, b: CodePoints): CodePoints {
  return complement(union(complement(a), complement(b)));
}

export const single = (...points: readonly number[]): CodePoints => points.map((p) => [p, p]);

type Bytes = readonly (readonly [low: number, high: number])[];

/** UTF-8 (RFC 3629, section 4) as a tree: what begins with the same range of bytes shares it. */
export function utf8(set: CodePoints): Node {
  const out: Bytes[] = [];
  for (const [low, high] of intersect(set, ANY)) {
    let from = low;
    for (const last of [0x7f, 0x7ff, 0xffff, LAST]) {
      if (from > last || from > high) continue;
      split(bytes(from), bytes(Math.min(last, high)), out);
      from = last + 1;
    }
  }
  return tree(out);
}

const bytes = (point: number): Uint8Array => new TextEncoder().encode(String.fromCodePoint(point));

/** Runs of byte ranges from `low` to `high`, two encodings of one length. First ranges of runs are equal or have no byte in common. */
function split(low: Uint8Array, high: Uint8Array, out: Bytes[], before: Bytes = []): void {
  const [a, b] = [low[0]!, high[0]!];
  if (low.length === 1) {
    out.push([...before, [a, b]]);
    return;
  }
  const rest = [low.subarray(1), high.subarray(1)] as const;
  const whole = (from: number, to: number): void => {
    if (from <= to) out.push([...before, [from, to], ...Array.from(rest[0], () => [0x80, 0xbf] as const)]);
  };
  const least = rest[0].every((x) => x === 0x80);
  const most = rest[1].every((x) => x === 0xbf);
  if (a === b) {
    if (least && most) whole(a, a);
    else split(rest[0], rest[1], out, [...before, [a, a]]);
    return;
  }
  const fill = (x: number): Uint8Array => rest[0].map(() => x);
  if (!least) split(rest[0], fill(0xbf), out, [...before, [a, a]]);
  whole(least ? a : a + 1, most ? b : b - 1);
  if (!most) split(fill(0x80), rest[1], out, [...before, [b, b]]);
}

function tree(runs: readonly Bytes[]): Node {
  const groups = new Map<string, Bytes[]>();
  for (const run of runs) intern(groups, `${run[0]}`, () => []).push(run);
  const nodes = Array.from(groups.values(), (group) => {
    const [low, high] = group[0]![0]!;
    const rests = group.filter((run) => run.length > 1).map((run) => run.slice(1));
    return rests.length === 0 ? range(low, high) : seq(range(low, high), tree(rests));
  });
  return alt(...nodes);
}
