// node --conditions=@ao/source fuzz/safetensors.mjs [cases] [seed]
import { fuzzSafetensors } from '../src/serialize/safetensors.fuzz.ts';

const cases = Number(process.argv[2] ?? 100_000);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
if (!Number.isSafeInteger(cases) || !Number.isSafeInteger(seed))
  throw new Error('usage: safetensors.mjs [cases] [seed]');
process.stderr.write(`safetensors reader, ${cases} cases, seed ${seed}\n`);
const start = performance.now();
const result = await fuzzSafetensors(cases, seed, (done) => {
  if (done % 100_000 === 0) process.stderr.write(`${done}\n`);
});
process.stdout.write(
  `${JSON.stringify({ seed, ...result, seconds: Math.round((performance.now() - start) / 100) / 10 })}\n`,
);
