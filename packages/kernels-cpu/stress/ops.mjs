// 100,000 commands of every form (kernels, writes of all sizes, copies, reads, plans, failures), each result compared with
// JavaScript's own. Prints what it did; exits 1 at the first difference.
//   node --conditions=@ao/source stress/ops.mjs [commands] [seed]
import assert from 'node:assert/strict';
import { openBackend } from '../src/open.ts';

const total = Number(process.argv[2] ?? 100_000);
let state = Number(process.argv[3] ?? 1);
/** A whole number below n (mulberry32). */
const random = (n) => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
};

const F32 = 0;
const backend = openBackend({ check: random(2) === 0 });
const { calls } = backend;
const strides = [1, 0, 0, 0, 0, 0];
let commands = 0;
let failures = 0;
let reads = 0;
/** Live vectors: a buffer and what it must hold; expected null = poisoned. */
const vectors = [];

const bytesOf = (floats) => new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
const make = (n, expected) => {
  const v = { buffer: backend.alloc(4 * n), n, expected };
  vectors.push(v);
  return v;
};
const pick = () => vectors[random(vectors.length)];
const size = () => (random(300) === 0 ? 1 + random(3 << 19) : random(4) === 0 ? 1 + random(5000) : 1 + random(100));

async function check(v) {
  reads += 1;
  if (v.expected === null) {
    await assert.rejects(backend.read(v.buffer, 0, 4 * v.n), { code: 'ERR_AO_STREAM', op: 'fill' });
    return;
  }
  const bytes = random(5) === 0 ? backend.readSync(v.buffer, 0, 4 * v.n) : await backend.read(v.buffer, 0, 4 * v.n);
  const got = new Float32Array(bytes.buffer);
  for (let i = 0; i < v.n; i++)
    if (!Object.is(got[i], v.expected[i])) assert.fail(`element ${i} of ${v.n}: ${got[i]}, expected ${v.expected[i]}`);
}

const actions = [
  function fill() {
    const n = size();
    const value = Math.fround(random(1000) / 7);
    calls.fill(make(n, new Float32Array(n).fill(value)).buffer.ptr, n, F32, value);
  },
  function write() {
    const n = size();
    const floats = Float32Array.from({ length: n }, () => random(1e6));
    backend.write(make(n, floats.slice()).buffer, 0, bytesOf(floats));
    floats.fill(-1);
  },
  function overwrite() {
    const v = pick();
    const floats = Float32Array.from({ length: v.n }, () => random(1e6));
    backend.write(v.buffer, 0, bytesOf(floats));
    v.expected = floats;
  },
  function partial() {
    const v = pick();
    const from = random(v.n);
    const floats = Float32Array.from({ length: 1 + random(Math.min(64, v.n - from)) }, () => random(1e6));
    backend.write(v.buffer, 4 * from, bytesOf(floats));
    v.expected?.set(floats, from);
    if (v.expected !== null && floats.length === v.n) v.expected = floats;
    if (v.expected === null && floats.length === v.n) v.expected = floats;
  },
  function copy() {
    const v = pick();
    backend.copy(make(v.n, v.expected?.slice() ?? null).buffer, 0, v.buffer, 0, 4 * v.n);
  },
  function kernelCopy() {
    const v = pick();
    calls.copy_strided(
      make(v.n, v.expected?.slice() ?? null).buffer.ptr,
      v.buffer.ptr,
      F32,
      F32,
      1,
      [v.n],
      strides,
      strides,
    );
  },
  function fail() {
    failures += 1;
    calls.fill(make(1 + random(50), null).buffer.ptr, 1, 99, 0);
  },
  function plan() {
    const v = pick();
    const out = make(v.n, v.expected?.slice() ?? null);
    backend.beginCapture();
    let last = v.buffer;
    for (let i = 0; i < 3; i++) {
      const next = backend.alloc(4 * v.n);
      calls.copy_strided(next.ptr, last.ptr, F32, F32, 1, [v.n], strides, strides);
      if (last !== v.buffer) backend.free(last);
      last = next;
    }
    backend.copy(out.buffer, 0, last, 0, 4 * v.n);
    const p = backend.endCapture();
    for (let i = random(3); i >= 0; i--) backend.replay(p);
    backend.free(last);
    backend.freePlan(p);
    commands += 4;
  },
];

for (let i = 0; i < 8; i++) actions[i % 2]();
while (commands < total) {
  commands += 1;
  const a = actions[random(random(20) === 0 ? actions.length : 6)];
  a();
  if (vectors.length > 40 + random(40)) {
    const [v] = vectors.splice(random(vectors.length), 1);
    if (random(8) === 0) {
      const pending = check(v);
      backend.free(v.buffer);
      await pending;
    } else backend.free(v.buffer);
  }
  if (random(1000) === 0) backend.trim();
}
for (const v of vectors) await check(v);
const { reserved, peak, blocked } = backend.memory();
await backend.close();
console.log(
  `${commands} commands, ${reads} reads, ${failures} failures, peak ${peak} bytes, reserved ${reserved}, blocked ${blocked}: ok`,
);
