// A regular expression (ECMAScript, u flag) as a grammar of whole texts, through the parser of @eslint-community/regexpp.
// A text must match from its first to its last character: ^ and $ at the ends change nothing. Look-around, \b and back-references are refused.

import { AoError } from '@ao/core';
import type { AST, RegExpParser } from '@eslint-community/regexpp';
import { ANY, type CodePoints, complement, intersect, single, union } from './code-points.ts';
import { alt, EMPTY, type Node, repeat, seq } from './node.ts';

const DIGIT: CodePoints = [[0x30, 0x39]];
const WORD: CodePoints = /*@__PURE__*/ union(DIGIT, [[0x41, 0x5a]], [[0x61, 0x7a]], single(0x5f));
const LINE_ENDS: CodePoints = /*@__PURE__*/ single(0x0a, 0x0d, 0x2028, 0x2029);
const WHITE: CodePoints = /*@__PURE__*/ union(
  [[0x09, 0x0d]],
  single(0x20, 0xa0, 0x1680, 0x202f, 0x205f, 0x3000, 0xfeff),
  [[0x2000, 0x200a]],
  LINE_ENDS,
);

export type PatternText = (source: string, where: string, character: (set: CodePoints) => Node) => Node;

/** Resolves with (source, what it is called in errors, how a text holds one code point of a set) -> grammar. */
export async function loadPatternText(): Promise<PatternText> {
  const { RegExpParser } = await import('@eslint-community/regexpp');
  const parser = new RegExpParser({ ecmaVersion: 2024 });
  return (source, where, character) => patternText(parser, source, where, character);
}

function patternText(parser: RegExpParser, source: string, where: string, character: (set: CodePoints) => Node): Node {
  let parsed: AST.Pattern;
  try {
    parsed = parser.parsePattern(source, 0, source.length, { unicode: true });
  } catch (error) {
    throw new AoError('ERR_AO_CONFIG', `${where}: ${(error as Error).message}`, { op: 'generate' });
  }
  const refuse = (element: AST.Node): never => {
    throw new AoError('ERR_AO_CONFIG', `${where}: ${element.raw} in ${source} is not supported`, {
      op: 'generate',
      fix: 'write the pattern with classes, groups, alternatives and quantifiers',
    });
  };

  const set = (element: AST.Node): CodePoints => {
    switch (element.type) {
      case 'Character':
        return single(element.value);
      case 'CharacterClassRange':
        return [[element.min.value, element.max.value]];
      case 'CharacterClass': {
        const inside = union(...element.elements.map(set));
        return element.negate ? complement(inside) : inside;
      }
      case 'CharacterSet': {
        if (element.kind === 'any') return complement(LINE_ENDS);
        if (element.kind === 'property') return pointsOf(element.raw);
        const inside = { digit: DIGIT, word: WORD, space: WHITE }[element.kind];
        return element.negate ? complement(inside) : inside;
      }
      default:
        return refuse(element);
    }
  };
  const alternatives = (list: readonly AST.Alternative[], outer: boolean): Node =>
    alt(...list.map(({ elements }) => seq(...elements.map((e, i) => node(e, outer, i, elements.length)))));
  const node = (element: AST.Node, outer: boolean, i: number, n: number): Node => {
    switch (element.type) {
      case 'Group':
      case 'CapturingGroup':
        return alternatives(element.alternatives, outer && n === 1);
      case 'Quantifier':
        return repeat(node(element.element, false, 0, 2), element.min, element.max);
      case 'Assertion': {
        const end = (element.kind === 'start' && i === 0) || (element.kind === 'end' && i === n - 1);
        return outer && end ? EMPTY : refuse(element);
      }
      default:
        return character(intersect(set(element), ANY));
    }
  };
  return alternatives(parsed.alternatives, true);
}

/** The code points that \p{...} names, asked of the engine. */
function pointsOf(raw: string): CodePoints {
  const test = new RegExp(`^${raw}$`, 'u');
  const out: [number, number][] = [];
  for (const [low, high] of ANY)
    for (let p = low; p <= high; p++) {
      if (!test.test(String.fromCodePoint(p))) continue;
      const last = out.at(-1);
      if (last?.[1] === p - 1) last[1] = p;
      else out.push([p, p]);
    }
  return out;
}
