// A worker that keeps a stream busy in every way until it is terminated.
import { parentPort, workerData } from 'node:worker_threads';
import { openBackend } from '../src/open.ts';

const backend = openBackend({ threads: workerData.threads });
const { calls } = backend;
const n = 20_000;
const x = backend.alloc(4 * n);
const big = new Uint8Array(4 * n).fill(1);
backend.write(x, 0, big);
backend.beginCapture();
const planned = backend.alloc(4 * n);
for (let i = 0; i < 20; i++) calls.silu_mul(planned.ptr, x.ptr, x.ptr, 1, n, n, n, 0);
const plan = backend.endCapture();
let started = false;
for (;;) {
  for (let i = 0; i < 200; i++) {
    const b = backend.alloc(4 * n);
    calls.silu_mul(b.ptr, x.ptr, x.ptr, 1, n, n, n, 0);
    if (i % 10 === 0) backend.write(b, 0, big);
    if (i % 50 === 0) calls.fill(b.ptr, 1, 99, 0);
    backend.free(b);
    if (i % 40 === 0) backend.replay(plan);
  }
  backend.read(planned, 0, 4 * n).catch(() => {});
  if (!started) parentPort.postMessage('working');
  started = true;
  if (backend.memory().queued > 2000) await backend.sync();
  else await null;
}
