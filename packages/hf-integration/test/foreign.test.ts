// Checkpoints of other libraries: each fixture was packed by the library itself (foreign/make.py); its weights, dequantized by our
// kinds, are those from before packing bit for bit, and the model computes what transformers computes with them.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arange, createRuntime, type Dense, dequantize, int32, type LogMessage, scope, tensor } from '@ao/core';
import { quantization } from '@ao/quantization';
import { describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../src/convert/convert-checkpoint.ts';
import { hfIntegration } from '../src/extension.ts';
import { openCheckpoint } from '../src/files/checkpoint.ts';
import { PLAIN, readStored, storedTensors } from '../src/files/stored.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { inspect } from '../src/quantize/inspect.ts';

const FIXTURES = join(import.meta.dirname, 'foreign');
const names = readdirSync(FIXTURES, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? [e.name] : []));

/** The kind of q_proj's weight, and what is said of weights that are not kept. */
const EXPECTED: Readonly<Record<string, { readonly type: string; readonly note?: RegExp }>> = {
  'gptq-4bit': { type: 'IntxTensor' },
  'gptq-4bit-actorder-v2': { type: 'PermutedTensor' },
  'gptq-4bit-ragged': { type: PLAIN, note: /GPTQ: .* and 6 others: groups of g_idx are not all of 32 columns/ },
  'gptq-8bit': { type: 'IntxUnpackedToInt8Tensor' },
  'gptq-3bit': { type: 'IntxTensor' },
  'gptq-2bit': { type: 'IntxTensor' },
  awq: { type: 'IntxTensor' },
  'hqq-4bit': { type: 'CodedTensor' },
  'hqq-3bit': { type: 'CodedTensor' },
  'hqq-8bit-axis0': { type: PLAIN, note: /HQQ: .*axis 0/ },
  'bnb-nf4-double': { type: 'CodedTensor', note: /down_proj.weight: blocks of 64 cross its rows of 96/ },
  'bnb-fp4': { type: 'CodedTensor', note: /down_proj.weight: blocks of 64/ },
  'bnb-int8': { type: 'Int8Tensor' },
  'ct-int4': { type: 'IntxTensor' },
  'ct-int4-asym': { type: 'IntxTensor' },
  'ct-int4-actorder': { type: 'PermutedTensor' },
  'ct-int8': { type: 'Int8Tensor' },
  'ct-fp8': { type: 'Float8Tensor', note: /float8 activations stay in full precision/ },
  'ct-fp8-block': { type: 'Float8Tensor' },
  'mlx-4bit': { type: 'CodedTensor' },
  'mlx-6bit': { type: 'CodedTensor' },
};
/** Schemes that quantize activations too: what transformers computes with the weights alone is not what they mean. */
const ROUNDS_ACTIVATIONS = ['ct-int8'];

interface Expected {
  readonly ids: number[];
  readonly weights: Record<string, string>;
  readonly logits: number[];
}

const expectedOf = (folder: string): Expected => JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));
const newRuntime = (log?: (m: LogMessage) => void) =>
  createRuntime({ use: [quantization(), hfIntegration()], ...(log && { log }) });

async function sha256(folder: string, names: readonly string[]): Promise<Record<string, string>> {
  const rt = await newRuntime();
  await using checkpoint = await openCheckpoint(folder);
  const stored = storedTensors(checkpoint.tensors);
  const found: Record<string, string> = {};
  for (const name of names) {
    const t = await readStored(rt, checkpoint.tensors, stored.get(name)!, { device: rt.device });
    const bits = await (dequantize(t) as Dense).bits();
    found[name] = createHash('sha256').update(new Uint8Array(bits.buffer)).digest('hex');
  }
  await rt.close();
  return found;
}

/** The logits behind the last token. */
async function lastLogits(model: CausalLM, ids: readonly number[]): Promise<number[]> {
  using cache = model.createCache(ids.length);
  const { rt, device } = model;
  const all = scope(() =>
    model.forward(tensor(rt, [ids], { dtype: int32, device }), {
      cache,
      positions: arange(rt, 0, ids.length, 1, { device }),
    }),
  );
  return Array.from(await all.data()).slice(-model.vocabSize);
}

/** Relative to the largest logit. */
function differences(found: readonly number[], wanted: readonly number[]): number[] {
  const scale = Math.max(...wanted.map(Math.abs));
  return wanted.map((x, i) => Math.abs(x - found[i]!) / scale);
}

const limit = (name: string): number => {
  if (ROUNDS_ACTIVATIONS.includes(name)) return 0.05;
  // what is dequantized is rounded to the checkpoint's dtype
  return EXPECTED[name]?.note === undefined ? 1e-4 : 1e-2;
};

test('every fixture is expected to be something', () => {
  expect(names.sort()).toEqual(Object.keys(EXPECTED).sort());
});

describe.each(names)('%s', (name) => {
  const folder = join(FIXTURES, name);
  const expected = expectedOf(folder);

  test('weights are those from before packing, bit for bit', async () => {
    expect(await sha256(folder, Object.keys(expected.weights))).toEqual(expected.weights);
  });

  test('the model computes what transformers computes', async () => {
    const said: string[] = [];
    const rt = await newRuntime((m) => said.push(m.message));
    const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime: rt, dtype: 'float32' });
    const logits = await lastLogits(model, expected.ids);
    expect(Math.max(...differences(logits, expected.logits))).toBeLessThan(limit(name));
    const { note } = EXPECTED[name]!;
    if (note) expect(said.join('\n')).toMatch(note);
    else expect(said).toEqual([]);
    await rt.close();
  });

  test('inspect names the kind', async () => {
    const { modules } = await inspect(folder);
    const weight = modules.find((m) => m.parameter === 'model.layers.0.self_attn.q_proj.weight')!;
    expect(weight.type ?? PLAIN).toBe(EXPECTED[name]!.type);
    expect(weight.shape).toEqual([64, 64]);
  });

  test('convert writes a folder of ours with the same weights', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'ao-foreign-'));
    const out = join(scratch, 'out');
    const rt = await newRuntime();
    await convertCheckpoint(folder, out, { runtime: rt });
    expect(await sha256(out, Object.keys(expected.weights))).toEqual(expected.weights);
    const model = await AutoModelForCausalLM.fromPretrained(out, { runtime: rt, dtype: 'float32' });
    expect(Math.max(...differences(await lastLogits(model, expected.ids), expected.logits))).toBeLessThan(limit(name));
    await rt.close();
    await rm(scratch, { recursive: true });
  });
});
