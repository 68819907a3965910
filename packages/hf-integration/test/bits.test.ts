// A model's logits are the same bits with any number of threads, and for a prompt in one piece, in chunks and among other
// sequences. AO_ISA chooses the instruction set that is held to it.
import { arange, createRuntime, int32, reshape, scope, tensor } from '@ao/core';
import { parseScheme, quantization } from '@ao/quantization';
import { expectBits } from '@ao/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeRuntime } from '../src/auto-runtime.ts';
import { hfIntegration } from '../src/extension.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import type { KVCache } from '../src/models/kv-cache.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { familyFixture, writeFamily } from './family-fixtures.ts';
import { STORIES } from './stories.ts';
import { type Tiny, tinyLlama } from './tiny.ts';

const probed = await probeRuntime();
const native = probed.runtime.device === 'cpu';
if (!native) console.warn(`skipped, there is no native backend: ${probed.findings.map((f) => f.reason).join('; ')}`);
await probed.runtime.close();

interface Form {
  readonly dtype: 'float32' | 'bfloat16';
  readonly scheme?: string;
}

const FORMS: readonly Form[] = [
  { dtype: 'float32' },
  { dtype: 'bfloat16' },
  { dtype: 'float32', scheme: 'int4wo-32' },
  { dtype: 'float32', scheme: 'int4wo-32:int8-group' },
  { dtype: 'float32', scheme: '8da4w-32' },
  { dtype: 'float32', scheme: 'int8dq' },
];

async function load(folder: string, { dtype, scheme }: Form, threads: number): Promise<CausalLM> {
  const { cpu } = await import('@ao/kernels-cpu');
  const runtime = await createRuntime({ use: [hfIntegration(), quantization(), cpu({ threads })] });
  const quantized = scheme === undefined ? {} : { quantizationConfig: torchAoConfig(parseScheme(scheme)) };
  return AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype, ...quantized });
}

/** Logits of the sequences' tokens [at, to). */
async function part(model: CausalLM, cache: KVCache, batch: readonly (readonly number[])[], at: number, to: number) {
  const logits = scope(() => {
    const { rt, device } = model;
    const x = tensor(
      rt,
      batch.map((ids) => ids.slice(at, to)),
      { dtype: int32, device },
    );
    return reshape(model.call(x, { cache, positions: arange(rt, at, to, 1, { device }) }), [-1]);
  });
  const values = await logits.data();
  logits.dispose();
  return values;
}

/** Single tokens are fed behind a long beginning read at once: those that begin attention's second split are among them. */
const SINGLE = 64;

/** Logits [T, V] of each sequence, read `chunk` tokens at a time. */
async function logitsOf(
  model: CausalLM,
  batch: readonly (readonly number[])[],
  chunk: number,
): Promise<Float64Array[]> {
  const { vocabSize: V } = model;
  const T = batch[0]!.length;
  const out = batch.map(() => new Float64Array(T * V));
  using cache = model.createCache(T, batch.length);
  for (let at = 0, to = 0; at < T; at = to) {
    to = at === 0 && chunk === 1 ? Math.max(1, T - SINGLE) : Math.min(T, at + chunk);
    for (let b = 0; b < batch.length; b++) cache.truncate(at, b);
    const values = await part(model, cache, batch, at, to);
    const size = (to - at) * V;
    for (const [b, all] of out.entries()) for (let i = 0; i < size; i++) all[at * V + i] = values[b * size + i]!;
  }
  return out;
}

/** Windows and soft caps; part of each head rotated; experts. */
const FAMILIES = ['gemma2', 'phi4-mini', 'qwen2-moe'];

describe.skipIf(!native)('logits bit for bit', () => {
  let tiny: Tiny;
  beforeAll(async () => {
    tiny = await tinyLlama();
    for (const name of FAMILIES) await writeFamily(`${tiny.scratch}-${name}`, await familyFixture(name));
  });
  afterAll(() => tiny.remove());

  const models = [
    // 300 tokens: attention's second split of 256 keys begins within the prompt
    { name: 'stories-7m', folder: () => STORIES, tokens: 300 },
    { name: 'a random tiny model', folder: () => tiny.folder, tokens: 64 },
    ...FAMILIES.map((name) => ({ name, folder: () => `${tiny.scratch}-${name}`, tokens: 40 })),
  ];
  const cases = models.flatMap((m) =>
    FORMS.map((form) => ({ ...m, form, label: `${form.scheme ?? 'no scheme'}, ${form.dtype}` })),
  );

  test.each(cases)('$name, $label', async ({ folder, form, tokens }) => {
    const sequence = (seed: number, vocab: number) =>
      Array.from({ length: tokens }, (_, i) => (i * i * 31 + i * 7 + seed) % vocab);
    let want: Float64Array | undefined;
    for (const threads of [1, 2, 3]) {
      const model = await load(folder(), form, threads);
      const [ids, ...others] = [1, 50, 90].map((seed) => sequence(seed, model.vocabSize)) as [
        number[],
        number[],
        number[],
      ];
      const [whole] = await logitsOf(model, [ids], tokens);
      want ??= whole!;
      expect(model.rt.backend('cpu').info()).toMatchObject({ threads });
      expect(want.every(Number.isFinite)).toBe(true);
      expect(new Set(want).size).toBeGreaterThan(100);
      expectBits(whole!, want);
      for (const chunk of threads === 2 ? [1, 7, 64] : [7]) expectBits((await logitsOf(model, [ids], chunk))[0]!, want);
      for (const chunk of threads === 2 ? [1, tokens] : [tokens])
        expectBits((await logitsOf(model, [others[0]!, ids, others[1]!], chunk))[1]!, want);
      model.dispose();
      await model.rt.close();
    }
  });
});
