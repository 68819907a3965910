// What one command costs the JavaScript thread: microseconds per call of silu_mul on 8 values, of alloc + silu_mul + free,
// and of a replayed plan's step; beside the stream's own time per command.
//   node --conditions=@ao/source stress/enqueue.mjs
import { openBackend } from '../src/open.ts';

const backend = openBackend({ threads: 1 });
const { calls } = backend;
const x = backend.alloc(64);
const out = backend.alloc(64);
calls.fill(x.ptr, 8, 0, 1);
const COMMANDS = 2000;

function measure(name, run) {
  const enqueue = [];
  const all = [];
  for (let round = 0; round < 200; round++) {
    backend.readSync(x, 0, 4);
    const start = performance.now();
    for (let i = 0; i < COMMANDS; i++) run();
    const enqueued = performance.now();
    backend.readSync(x, 0, 4);
    enqueue.push(((enqueued - start) * 1000) / COMMANDS);
    all.push(((performance.now() - start) * 1000) / COMMANDS);
  }
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1].toFixed(3);
  console.log(`${name}: ${median(enqueue)} us per enqueue, ${median(all)} us until run`);
}

measure('silu_mul', () => calls.silu_mul(out.ptr, x.ptr, x.ptr, 1, 8, 8, 8, 0));
measure('alloc, silu_mul, free', () => {
  const b = backend.alloc(64);
  calls.silu_mul(b.ptr, x.ptr, x.ptr, 1, 8, 8, 8, 0);
  backend.free(b);
});
measure('copy_strided', () => calls.copy_strided(out.ptr, x.ptr, 0, 0, 2, [2, 4], [4, 1], [4, 1]));
backend.beginCapture();
for (let i = 0; i < COMMANDS; i++) calls.silu_mul(out.ptr, x.ptr, x.ptr, 1, 8, 8, 8, 0);
const plan = backend.endCapture();
const start = performance.now();
for (let i = 0; i < 100; i++) backend.replay(plan);
backend.readSync(x, 0, 4);
console.log(`replay: ${(((performance.now() - start) * 1000) / 100 / COMMANDS).toFixed(3)} us per step`);
console.log(backend.memory());
await backend.close();
