// node --conditions=@ao/source apps/bench/compat/stream.mjs [GIGABYTES] [SCHEME] [FOLDER]
// The streaming quantizer on a generated Llama of so many GB of bfloat16 (default 4): its peak memory over that of the idle
// process, against 3 x the largest tensor + 64 MB, and its speed, against the slower of
//   disk        reading the checkpoint and writing as many bytes as the result has, each as the quantizer does it, with fsync
//   quantizer   the same weights in memory: codes, scales, and the error that the report tells
// The three parts run in processes of their own, one after the other, on the same files.
import { fork } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HIDDEN = 8192;
const INTERMEDIATE = 14336;

const [role = '4', ...rest] = process.argv.slice(2);
const parts = { quantize, disk, quantizer };
if (role in parts) process.send(await parts[role](...rest), () => process.disconnect());
else await main(Number(role), rest[0] ?? 'int4wo-128', rest[1] ?? tmpdir());

async function main(gigabytes, scheme, folder) {
  const root = await mkdtemp(join(folder, 'ao-stream-'));
  try {
    const model = join(root, 'model');
    const { bytes, largest } = await generate(model, gigabytes * 1e9);
    const run = await part('quantize', model, join(root, 'out'), scheme);
    let written = 0;
    for (const name of await readdir(join(root, 'out'))) written += (await stat(join(root, 'out', name))).size;
    await rm(join(root, 'out'), { recursive: true });
    const { seconds: disk } = await part('disk', model, join(root, 'copy'), String(written));
    const { bytesPerSecond } = await part('quantizer', scheme);
    const seconds = Math.max(disk, bytes / bytesPerSecond);
    const limit = 3 * largest + (64 << 20);
    const mb = (n) => Math.round(n / 1e6);
    const result = {
      scheme,
      checkpointMB: mb(bytes),
      resultMB: mb(written),
      largestMB: mb(largest),
      peakMB: mb(run.peak),
      limitMB: mb(limit),
      seconds: Number(run.seconds.toFixed(2)),
      diskSeconds: Number(disk.toFixed(2)),
      quantizerSeconds: Number((bytes / bytesPerSecond).toFixed(2)),
      share: Number((seconds / run.seconds).toFixed(2)),
      within: run.peak <= limit && seconds / run.seconds >= 0.7,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function part(...args) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), args);
    child.on('message', resolve);
    child.on('exit', (code) => code !== 0 && reject(new Error(`${args[0]} ended with ${code}`)));
  });
}

/** Normal-looking bfloat16 numbers of about 0.02, and the model's small files. */
async function generate(folder, bytes) {
  const layerBytes = 2 * (2 * HIDDEN * HIDDEN + 2 * (HIDDEN / 8) * HIDDEN + 3 * HIDDEN * INTERMEDIATE);
  const layers = Math.max(1, Math.round(bytes / layerBytes));
  const { config, largest, items } = await shapes(layers);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const { safetensorsHeader } = await import('@ao/core');
  const { header, size } = safetensorsHeader(items, { format: 'pt' });
  const noise = new Uint16Array(8 << 20);
  randomFillSync(noise);
  // sign and mantissa at random, exponents 2^-9 to 2^-6
  for (let i = 0; i < noise.length; i++) noise[i] = (noise[i] & 0x80ff) | ((118 + ((noise[i] >> 8) & 3)) << 7);
  const piece = new Uint8Array(noise.buffer);
  const file = await open(join(folder, 'model.safetensors'), 'w');
  await file.write(header);
  let rest = size - header.byteLength;
  for (let n = 0; rest > 0; n++) {
    const from = 2 * ((n * 7919) % 4096);
    const { bytesWritten } = await file.write(piece, from, Math.min(rest, piece.byteLength - from));
    rest -= bytesWritten;
  }
  await file.sync();
  await file.close();
  return { bytes: size, largest };
}

async function shapes(layers) {
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    torch_dtype: 'bfloat16',
    hidden_size: HIDDEN,
    intermediate_size: INTERMEDIATE,
    num_hidden_layers: layers,
    num_attention_heads: 64,
    num_key_value_heads: 8,
    vocab_size: 1024,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
  };
  const { AutoConfig } = await import('@ao/hf-integration');
  const scratch = await mkdtemp(join(tmpdir(), 'ao-outline-'));
  await writeFile(join(scratch, 'config.json'), JSON.stringify(config));
  const { outline } = await AutoConfig.fromPretrained(scratch);
  await rm(scratch, { recursive: true });
  const items = outline.parameters.map(({ name, shape }) => ({ name, shape, dtype: 'BF16' }));
  const largest = Math.max(...items.map(({ shape }) => 2 * shape.reduce((n, d) => n * d, 1)));
  return { config, items, largest };
}

async function quantize(model, out, scheme) {
  const { autoRuntime, quantizeCheckpoint } = await import('@ao/hf-integration');
  const runtime = await autoRuntime();
  const idle = await resident('VmRSS');
  await writeFile('/proc/self/clear_refs', '5').catch(() => {});
  const start = performance.now();
  await quantizeCheckpoint(model, out, { quantizationConfig: scheme, runtime });
  const seconds = (performance.now() - start) / 1000;
  const peak = (await resident('VmHWM')) - idle;
  await runtime.close();
  return { seconds, peak };
}

async function resident(field) {
  const status = await readFile('/proc/self/status', 'utf8');
  return 1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]);
}

/** Reads all, and writes so many bytes: the larger of what pipelining could hide is not taken off. */
async function disk(model, copy, written) {
  const start = performance.now();
  const source = await open(join(model, 'model.safetensors'), 'r');
  const piece = new Uint8Array(4 << 20);
  for (;;) if ((await source.read(piece, 0, piece.byteLength)).bytesRead === 0) break;
  await source.close();
  const target = await open(copy, 'w');
  for (let at = 0; at < Number(written); at += piece.byteLength) await target.write(piece);
  await target.sync();
  await target.close();
  const seconds = (performance.now() - start) / 1000;
  if (existsSync(copy)) await rm(copy);
  return { seconds };
}

/** Bytes of weight a second, of one that lies in memory. */
async function quantizer(scheme) {
  const { autoRuntime } = await import('@ao/hf-integration');
  const core = await import('@ao/core');
  const { errorNorms, isProblem, parseScheme, planTrait, decibels } = await import('@ao/quantization');
  const runtime = await autoRuntime();
  const shape = [4096, HIDDEN];
  const values = Float32Array.from(
    { length: shape[0] * shape[1] },
    (_, i) => (((i * 2654435761) >>> 8) % 4001) / 1e5 - 0.02,
  );
  const wide = core.reshape(core.tensor(runtime, values, { device: runtime.device }), shape);
  const weight = core.keep(core.cast(wide, core.bfloat16));
  const plan = runtime.ask(planTrait, parseScheme(scheme), { shape, dtype: 'bfloat16' });
  if (isProblem(plan)) throw new Error(plan.problem);
  const once = async () => {
    const quantized = core.keep(core.scope(() => plan.quantize(weight)));
    await decibels(errorNorms(weight, quantized));
    quantized.dispose();
  };
  await once();
  const start = performance.now();
  for (let n = 0; n < 8; n++) await once();
  const bytesPerSecond = (8 * 2 * values.length) / ((performance.now() - start) / 1000);
  await runtime.close();
  return { bytesPerSecond };
}
