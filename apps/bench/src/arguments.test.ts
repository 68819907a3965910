import { expect, test } from 'vitest';
import { parse, UsageError } from './arguments.ts';

test('cpu measures everything unless told otherwise', () => {
  expect(parse(['cpu'])).toMatchObject({ name: 'cpu', peers: ['llama', 'ort', 'torchao'], repeats: 5, json: false });
  expect(parse(['cpu', '--peers', 'ort,llama', '--only', '^gemv', '--threads', '3', '--json'])).toMatchObject({
    peers: ['ort', 'llama'],
    only: /^gemv/,
    threads: 3,
    json: true,
  });
});

test('peers installs all parts, or those named', () => {
  expect(parse(['peers'])).toEqual({ name: 'peers', parts: ['llama', 'ort', 'torchao', 'models'] });
  expect(parse(['peers', 'ort,models'])).toEqual({ name: 'peers', parts: ['ort', 'models'] });
});

test.each([
  [['cpu', '--peers', 'tvm'], /unknown peer 'tvm'; there are llama, ort, torchao/],
  [['peers', 'tvm'], /unknown peer 'tvm'/],
  [['cpu', '--threads', '0'], /--threads 0: it must be a whole number from 1/],
  [['cpu', '--repeats', '2.5'], /--repeats 2.5/],
  [['cpu', '--only', '('], /--only: Invalid regular expression/],
  [['cpu', '--fast'], /--fast/],
  [['cpu', 'llama'], /unexpected llama/],
  [['gpu'], /unknown command gpu/],
])('%j is refused before any work', (args, message) => {
  expect(() => parse(args)).toThrow(UsageError);
  expect(() => parse(args)).toThrow(message);
});
