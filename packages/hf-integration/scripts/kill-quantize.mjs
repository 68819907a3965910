// node --conditions=@ao/source scripts/kill-quantize.mjs [KILLS] [SEED] [SCHEME]
// Quantizes stories-7m, ends the process by SIGKILL at random moments of its work, and goes on, until KILLS processes were
// killed: each time that one comes to its end, the folder has the bytes of a run that nothing disturbed, and nothing lies beside.
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [role, ...rest] = process.argv.slice(2);
if (role === 'work') await work(...rest);
else await kill(Number(role ?? 100), Number(rest[0] ?? 1), rest[1] ?? 'int4wo-32');

async function work(from, to, scheme) {
  const { autoRuntime, quantizeCheckpoint } = await import('@ao/hf-integration');
  const runtime = await autoRuntime();
  process.send('begun');
  await quantizeCheckpoint(from, to, { quantizationConfig: scheme, runtime, maxShardSize: 3_000_000 });
  process.send('ended');
  await runtime.close();
  process.disconnect();
}

async function kill(kills, seed, scheme) {
  const model = dirname(createRequire(import.meta.url).resolve('@ao/stories-7m/config.json'));
  const root = await mkdtemp(join(tmpdir(), 'ao-kill-'));
  const random = generator(seed);
  const result = { kills: 0, afterTheEnd: 0, whole: 0, seed, scheme, milliseconds: 0 };
  try {
    const calm = join(root, 'calm');
    result.milliseconds = Math.round(await one(model, calm, scheme, Number.POSITIVE_INFINITY));
    const expected = await digest(calm);
    const out = join(root, 'out');
    while (result.kills < kills) {
      // a few processes after each other work on the same folder
      const again = 1 + Math.floor(random() * 3);
      let ended = false;
      for (let n = 0; n < again && !ended && result.kills < kills; n++) {
        ended = (await one(model, out, scheme, random() * 1.1 * result.milliseconds)) !== undefined;
        if (ended) result.afterTheEnd++;
        else result.kills++;
      }
      // a kill after the folder was in place leaves nothing to do
      if (!ended && !(await isPlaced(root))) await one(model, out, scheme, Number.POSITIVE_INFINITY);
      if ((await digest(out)) !== expected)
        throw new Error(`after ${result.kills} kills of seed ${seed} the bytes differ`);
      // killed between its last two steps, a process leaves a folder without a journal
      if (!ended && (await isPlaced(root))) await rm(join(root, '.out.quantize'), { recursive: true, force: true });
      const beside = (await readdir(root)).filter((name) => name !== 'calm' && name !== 'out');
      if (beside.length > 0) throw new Error(`after ${result.kills} kills of seed ${seed} there is ${beside}`);
      result.whole++;
      await rm(out, { recursive: true });
      process.stderr.write(`${result.kills} kills, ${result.whole} folders whole\n`);
    }
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** The folder is there, and nothing tells of work that is left. */
async function isPlaced(root) {
  const left = await readdir(join(root, '.out.quantize')).catch(() => []);
  return (await readdir(root)).includes('out') && !left.includes('journal');
}

/** Milliseconds from the beginning of the work to its end; undefined if it was killed, `after` so many. */
function one(model, out, scheme, after) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ['work', model, out, scheme], { stdio: 'inherit' });
    let [begun, time] = [0, undefined];
    child.on('message', (message) => {
      if (message === 'ended') time = performance.now() - begun;
      if (message !== 'begun') return;
      begun = performance.now();
      if (Number.isFinite(after)) setTimeout(() => child.kill('SIGKILL'), after).unref();
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (signal === 'SIGKILL' && time === undefined) resolve(undefined);
      else if (code === 0 || signal === 'SIGKILL') resolve(time);
      else reject(new Error(`the work ended with ${code ?? signal}`));
    });
  });
}

async function digest(folder) {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder)).sort()) hash.update(name).update(await readFile(join(folder, name)));
  return hash.digest('hex');
}

/** mulberry32, in 0..1. */
function generator(seed) {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
