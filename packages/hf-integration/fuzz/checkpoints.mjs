// node --conditions=@ao/source fuzz/checkpoints.mjs unpickle|torch-file|config|foreign [cases] [seed]
import { fuzzConfig, fuzzForeign } from '../src/foreign/foreign.fuzz.ts';
import { fuzzTorchFile, fuzzUnpickle } from '../src/pickle/pickle.fuzz.ts';

const targets = { unpickle: fuzzUnpickle, 'torch-file': fuzzTorchFile, config: fuzzConfig, foreign: fuzzForeign };
const [name, count, from] = process.argv.slice(2);
const cases = Number(count ?? 100_000);
const seed = Number(from ?? Date.now() % 2 ** 31);
if (!(name in targets) || !Number.isSafeInteger(cases) || !Number.isSafeInteger(seed))
  throw new Error(`usage: checkpoints.mjs ${Object.keys(targets).join('|')} [cases] [seed]`);
process.stderr.write(`${name}, ${cases} cases, seed ${seed}\n`);
// nobody reads the stacks of millions of errors
Error.stackTraceLimit = 0;
const start = performance.now();
const result = await targets[name](cases, seed, (done) => {
  if (done % 500_000 === 0) process.stderr.write(`${done}\n`);
});
process.stdout.write(
  `${JSON.stringify({ target: name, seed, ...result, seconds: Math.round((performance.now() - start) / 100) / 10 })}\n`,
);
