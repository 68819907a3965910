// Event-loop lag while the stream works: plans are replayed two in flight, each awaited, as generate does, for some
// seconds; prints the 50th, 99th and highest percentile of timer lateness in milliseconds.
//   node --conditions=@ao/source stress/lag.mjs [seconds 5]
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openBackend } from '../src/open.ts';

const seconds = Number(process.argv[2] ?? 5);
const backend = openBackend();
const n = 1 << 16;
const x = backend.alloc(4 * n);
backend.calls.fill(x.ptr, n, 0, 1);
backend.beginCapture();
const out = backend.alloc(4 * n);
for (let i = 0; i < 300; i++) backend.calls.silu_mul(out.ptr, x.ptr, x.ptr, 1, n, n, n, 0);
const plan = backend.endCapture();

const resolution = 1;
const delay = monitorEventLoopDelay({ resolution });
delay.enable();
const until = performance.now() + 1000 * seconds;
let replays = 0;
let before = Promise.resolve();
while (performance.now() < until) {
  backend.replay(plan);
  replays += 1;
  const done = backend.read(out, 0, 4);
  await before;
  before = done;
}
await before;
delay.disable();
const late = (p) => Math.max(0, delay.percentile(p) / 1e6 - resolution).toFixed(2);
console.log(
  `${replays} replays of ${plan.commands} commands, lag p50 ${late(50)} ms, p99 ${late(99)} ms, max ${late(100)} ms`,
);
await backend.close();
