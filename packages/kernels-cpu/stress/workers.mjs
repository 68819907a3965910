// Workers with a stream each, terminated while they work; the process must neither crash nor grow.
//   node --conditions=@ao/source stress/workers.mjs [parallel 10] [rounds 200]
// MALLOC_ARENA_MAX=2 keeps glibc from spreading over one arena per core and thread, whose fragments look like growth.
// Prints resident memory over the rounds; exits 1 where the last quarter needs over 10 % more than the second.
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'tsup';

const parallel = Number(process.argv[2] ?? 10);
const rounds = Number(process.argv[3] ?? 200);
const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
// One file without imports: reading the sources anew in 2,000 workers would take most of the time.
await build({
  config: false,
  entry: { worker: at('stress/worker.mjs') },
  outDir: at('build/stress'),
  format: 'esm',
  noExternal: [/.*/],
  silent: true,
  esbuildOptions(options) {
    options.conditions = ['@ao/source'];
  },
});
const file = at('build/stress/worker.js');
const env = { ...process.env, AO_NATIVE: process.env['AO_NATIVE'] ?? at('build/Release/ao_cpu.node') };

async function one(index) {
  const worker = new Worker(file, { workerData: { threads: 1 + (index % 2) }, env });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await new Promise((resolve) => setTimeout(resolve, (index * 7) % 20));
  await worker.terminate();
}

const resident = [];
for (let round = 0; round < rounds; round++) {
  await Promise.all(Array.from({ length: parallel }, (_, i) => one(i + round)));
  globalThis.gc?.();
  resident.push(process.memoryUsage.rss() / 2 ** 20);
  if ((round + 1) % Math.max(1, Math.floor(rounds / 10)) === 0)
    console.log(`round ${round + 1}: ${resident.at(-1).toFixed(0)} MiB`);
}
const quarter = Math.floor(rounds / 4);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? 0;
const [early, late] = [median(resident.slice(quarter, 2 * quarter)), median(resident.slice(-quarter))];
console.log(
  `${parallel * rounds} workers: ${early.toFixed(0)} MiB in the second quarter, ${late.toFixed(0)} MiB in the last`,
);
if (quarter > 0 && late > early * 1.1) process.exit(1);
