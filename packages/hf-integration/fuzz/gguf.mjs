// node --conditions=@ao/source fuzz/gguf.mjs [cases] [seed]
import { fuzzGguf } from '../src/gguf/gguf.fuzz.ts';

const cases = Number(process.argv[2] ?? 100_000);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
if (!Number.isSafeInteger(cases) || !Number.isSafeInteger(seed)) throw new Error('usage: gguf.mjs [cases] [seed]');
process.stderr.write(`GGUF reader, ${cases} cases, seed ${seed}\n`);
// nobody reads the stacks of millions of errors
Error.stackTraceLimit = 0;
const start = performance.now();
const result = fuzzGguf(cases, seed, (done) => {
  if (done % 500_000 === 0) process.stderr.write(`${done}\n`);
});
process.stdout.write(
  `${JSON.stringify({ seed, ...result, seconds: Math.round((performance.now() - start) / 100) / 10 })}\n`,
);
