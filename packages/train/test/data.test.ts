// Token files, blocks, examples and the order of rows.
import { bytesSink, bytesSource, isAoError } from '@ao/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  chatExample,
  exampleDataset,
  exampleOf,
  instructionExample,
  openTokens,
  packedDataset,
  permutation,
  Sampler,
  writeTokens,
} from '../src/index.ts';

const codeOf = async (fn: () => unknown): Promise<string> => {
  try {
    await fn();
  } catch (e) {
    if (isAoError(e)) return e.code;
    throw e;
  }
  return 'nothing was thrown';
};

async function written(documents: number[][], vocabSize: number, eosTokenId = 0): Promise<Uint8Array> {
  const sink = bytesSink();
  await writeTokens(sink, documents, { eosTokenId, vocabSize });
  return sink.bytes();
}

it('joins documents by the id that ends them, in two bytes an id or four', async () => {
  const small = await written([[5, 6], [7, 0], []], 65_536);
  const large = await written([[5, 65_536]], 70_000);
  const open = (bytes: Uint8Array) => openTokens(bytesSource(bytes));
  expect([...(await (await open(small)).read(0, 6))]).toEqual([5, 6, 0, 7, 0, 0]);
  expect([...(await (await open(large)).read(0, 3))]).toEqual([5, 65_536, 0]);
  expect([...(await (await open(small)).read(2, 4))]).toEqual([0, 7]);
  expect((await open(small)).length).toBe(6);
});

it('refuses ids outside the vocabulary, no text, and other files, and leaves no file', async () => {
  for (const [documents, vocab, eos] of [
    [[[1, 9]], 9, 0],
    [[[1, -1]], 9, 0],
    [[[1]], 9, 9],
    [[], 9, 0],
  ] as [number[][], number, number][]) {
    const sink = bytesSink();
    const options = { eosTokenId: eos, vocabSize: vocab };
    expect(await codeOf(() => writeTokens(sink, documents, options))).toBe('ERR_AO_CONFIG');
    expect(sink.bytes()).toHaveLength(0);
  }
  expect(await codeOf(() => openTokens(bytesSource(new Uint8Array(4))))).toBe('ERR_AO_FORMAT');
});

it('predicts every id but the first once, whatever the block', async () => {
  const ids = Array.from({ length: 37 }, (_, i) => i + 1);
  const tokens = await openTokens(bytesSource(await written([ids], 64)));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 37 }), async (block) => {
      const data = packedDataset(tokens, block);
      const all = Array.from({ length: data.length }, (_, i) => i);
      const batch = await data.rows(all);
      expect([...batch.ids]).toEqual(ids.slice(0, data.length * block));
      expect([...batch.targets]).toEqual([...ids, 0].slice(1, data.length * block + 1));
      expect(37 - data.length * block).toBeLessThan(block);
    }),
  );
  expect(await codeOf(() => packedDataset(tokens, 38))).toBe('ERR_AO_CONFIG');
});

it('draws every row once an epoch, in orders that differ, and goes on from a position', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(), fc.nat(100), (n, seed, at) => {
      const sampler = new Sampler(n, { seed });
      const rows = sampler.next(2 * n);
      for (const epoch of [rows.slice(0, n), rows.slice(n)])
        expect([...epoch].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      const again = new Sampler(n, { seed });
      again.position = at % n;
      expect(again.next(n)).toEqual(rows.slice(at % n, (at % n) + n));
    }),
  );
  expect(permutation(50, 1, 0)).not.toEqual(permutation(50, 1, 1));
  expect(permutation(50, 1, 0)).not.toEqual(permutation(50, 2, 0));
  expect(new Sampler(3, { shuffle: false }).next(5)).toEqual([0, 1, 2, 0, 1]);
});

/** Two letters make a token where the first is a vowel: borders within a token show. */
const encode = (text: string): number[] =>
  [...text.matchAll(/[aeiou][a-z]|./gs)].map(([m]) => [...m].reduce((n, c) => n * 256 + c.charCodeAt(0), 0) % 50_000);

it('gives a loss to the answer alone, also where a token lies across the border', () => {
  const plain = instructionExample('Q:xy ', 'zz', '.', encode);
  expect(plain.loss).toEqual([false, false, false, false, false, true, true, true]);
  const across = exampleOf(
    [
      { text: 'xa', loss: false },
      { text: 'by', loss: true },
    ],
    encode,
  );
  expect(across.ids).toEqual(encode('xaby'));
  expect(across.loss).toEqual([false, true, true]);
});

it('writes conversations by their template, and lets only what the assistant says count', async () => {
  interface Message {
    role: string;
    content: string;
  }
  const render = async (messages: readonly Message[], { addGenerationPrompt }: { addGenerationPrompt: boolean }) =>
    messages.map((m) => `<${m.role}>${m.content}|`).join('') + (addGenerationPrompt ? '<assistant>' : '');
  const messages = ['user', 'assistant', 'user', 'assistant'].map((role, i) => ({ role, content: `Z${i}` }));
  const { ids, loss } = await chatExample(messages, render, (text) => [...text].map((c) => c.charCodeAt(0)));
  const said = String.fromCharCode(...ids.filter((_, i) => loss[i]));
  expect(String.fromCharCode(...ids)).toBe('<user>Z0|<assistant>Z1|<user>Z2|<assistant>Z3|');
  expect(said).toBe('Z1|Z3|');
});

it('fills rows of examples up without loss, and refuses those without an answer', async () => {
  const example = instructionExample('ab', 'cd', '!', (t) => [...t].map((c) => c.charCodeAt(0)));
  const { ids, targets } = await exampleDataset([example], 6, 9).rows([0]);
  expect([...ids]).toEqual([97, 98, 99, 100, 33, 9]);
  expect([...targets]).toEqual([-100, 99, 100, 33, -100, -100]);
  const cut = await exampleDataset([example], 3, 9).rows([0, 0]);
  expect([...cut.targets]).toEqual([-100, 99, 100, -100, 99, 100]);
  expect(await codeOf(() => exampleDataset([example], 1, 9))).toBe('ERR_AO_CONFIG');
  expect(await codeOf(() => exampleDataset([], 4, 9))).toBe('ERR_AO_CONFIG');
});
