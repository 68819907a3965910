import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StopStrings } from '../src/generate/stop-strings.ts';

function run(stops: readonly string[], pieces: readonly string[]): { text: string; matched: string | undefined } {
  const stop = new StopStrings(stops);
  let text = '';
  for (const piece of pieces) {
    text += stop.push(piece);
    if (stop.matched !== undefined) return { text, matched: stop.matched };
  }
  return { text: text + stop.end(), matched: undefined };
}

test('a stop string that is spread over pieces ends the text before it', () => {
  expect(run(['END'], ['one E', 'N', 'D two'])).toEqual({ text: 'one ', matched: 'END' });
});

test('what only looked like a stop string is given back', () => {
  expect(run(['END'], ['E', 'N', 'E', 'N', 'd'])).toEqual({ text: 'ENENd', matched: undefined });
});

test('however the text is cut, the result is that of the whole text', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 });
  fc.assert(
    fc.property(
      fc.array(letters),
      fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 }), { minLength: 1 }),
      (pieces, stops) => {
        const whole = pieces.join('');
        const { text, matched } = run(stops, pieces);
        expect(whole.startsWith(text)).toBe(true);
        expect(stops.some((s) => text.includes(s))).toBe(false);
        if (matched === undefined) expect(text).toBe(whole);
        else expect(whole.startsWith(text + matched)).toBe(true);
      },
    ),
    { numRuns: 2000 },
  );
});
