// deviceMap: a decoder spread over devices: the plan, the tokens, what is captured, and what is refused. GPUs are the emulator's here.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRuntime, type LogMessage, type Runtime } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { cuda, gpus } from '@ao/kernels-cuda';
import { int4WeightOnly, quantization } from '@ao/quantization';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM, type FromPretrainedOptions } from '../src/from-pretrained.ts';
import { PastKeyValues } from '../src/generate/past-key-values.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { STORIES } from './stories.ts';
import { type Tiny, tinyLlama } from './tiny.ts';

const emulated = fileURLToPath(new URL('../../kernels-cuda/build-emulated/Release/ao_cuda.node', import.meta.url));
const skip = existsSync(emulated) ? '' : 'the emulator is not built: pnpm --filter @ao/kernels-cuda build:emulated';
if (skip) console.log(`skipped, deviceMap on GPUs: ${skip}`);
const before = { ...process.env };

const said: LogMessage[] = [];
const log = (message: LogMessage): number => said.push(message);
const PROMPT = [1, 17, 5, 90, 33, 2, 64];
let tied: Tiny;
let untied: Tiny;

beforeAll(async () => {
  process.env['AO_CUDA'] = emulated;
  process.env['AO_EMULATED_GPUS'] = '2';
  tied = await tinyLlama({ tied: true });
  untied = await tinyLlama({ tied: false });
});
afterAll(async () => {
  process.env = before;
  await tied.remove();
  await untied.remove();
});

const load = (runtime: Runtime, options: FromPretrainedOptions, folder = tied.folder): Promise<CausalLM> =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', ...options });
const ids = async (model: CausalLM, maxNewTokens = 12): Promise<readonly number[]> =>
  (await model.generate(PROMPT, { maxNewTokens })).ids;

describe('on cpu and reference', () => {
  it('runs each layer where its weights are, tied head and cache with them, eagerly', async () => {
    await using rt = await createRuntime({ use: [cpu(), quantization()], log });
    const alone = await load(rt, {});
    for (const deviceMap of [
      { '': 'cpu', 'model.layers.1': 'reference' },
      { '': 'reference', 'model.embed_tokens': 'cpu', 'model.layers.0': 'cpu' },
    ] as const) {
      const model = await load(rt, { deviceMap });
      expect(model.capturable).toBe(false);
      expect(await ids(model)).toEqual(await ids(alone));
      model.dispose();
    }
    const model = await load(rt, { deviceMap: { '': 'reference', 'model.embed_tokens': 'cpu' } });
    expect(model.hfDeviceMap).toEqual({
      'model.embed_tokens': 'cpu',
      'model.layers.0': 'reference',
      'model.layers.1': 'reference',
      'model.norm': 'reference',
      lm_head: 'cpu',
    });
    expect(alone.hfDeviceMap).toEqual({ '': 'cpu' });
    expect(said.at(-1)?.message).toMatch(
      /^as deviceMap says:\ncpu +[\d.]+ MB {2}model.embed_tokens\nreference .* \(3 blocks\)/,
    );
    using cache = model.createCache(8);
    expect(cache.keys.map((t) => t.device)).toEqual(['reference', 'reference']);
    model.dispose();
    alone.dispose();
  });

  it.each([
    [{ '': 'cpu', 'model.layers.0.mlp': 'reference' }, /splits model.layers.0 over .*a layer lies on one device/],
    [
      { '': 'cpu', lm_head: 'reference' },
      /puts lm_head on reference and model.embed_tokens on cpu, but they are one tensor/,
    ],
    [{ '': 'cpu', 'model.layers.0': 'cuda:3' }, /is "cuda:3", which is no device here.*auto, reference, cpu/],
  ])('refuses %o', async (deviceMap, message) => {
    await using rt = await createRuntime({ use: [cpu()] });
    await expect(load(rt, { deviceMap })).rejects.toThrow(message);
  });

  it('refuses to spread what is trained, and sizes that are none', async () => {
    await using rt = await createRuntime({ use: [cpu()] });
    const deviceMap = { '': 'cpu', 'model.layers.1': 'reference' };
    await expect(load(rt, { deviceMap, trainable: true })).rejects.toThrow(/gradients do not flow between devices/);
    await expect(load(rt, { deviceMap: 'auto', maxMemory: { cpu: '1 acre' } })).rejects.toThrow(
      /maxMemory\['cpu'\] is "1 acre"/,
    );
    await expect(load(rt, { deviceMap: 'auto', maxMemory: { 0: 5 } })).rejects.toThrow(/maxMemory names '0'/);
  });

  it('says what does not fit anywhere', async () => {
    await using rt = await createRuntime({ use: [cpu()] });
    const maxMemory = { cpu: '100KB', reference: '90KB' };
    await expect(load(rt, { deviceMap: 'auto', maxMemory })).rejects.toThrow(
      /model.layers.1 \(0.\d+ MB\) and the 2 blocks behind it do not fit: cpu takes 0.10 MB, reference takes 0.09 MB.*quantize/s,
    );
  });
});

describe.skipIf(skip !== '')('on two GPUs of the emulator and the cpu', () => {
  const open = (): Promise<Runtime> => createRuntime({ use: [...gpus('all'), cpu(), quantization()], log });

  it("splits by 'auto' where the limit asks for it, says so, decodes captured, and gives the tokens of one device", async () => {
    await using rt = await createRuntime({ use: [cpu(), cuda({ memoryLimit: 150_000 })], log });
    for (const { folder } of [tied, untied]) {
      const alone = await load(rt, { device: 'cpu' }, folder);
      const model = await load(rt, { deviceMap: 'auto' }, folder);
      expect(model.hfDeviceMap).toMatchObject({ 'model.embed_tokens': 'cuda', 'model.layers.1': 'cpu' });
      for (const [name, t] of model.namedParameters()) {
        const block = Object.keys(model.hfDeviceMap).find((b) => name.startsWith(`${b}.`))!;
        expect([name, t.device]).toEqual([name, model.hfDeviceMap[block]]);
      }
      expect(said.at(-1)?.message).toMatch(/^what cuda has no room for lies on .*\ncuda /);
      expect(model.capturable).toBe(true);
      expect(await ids(model)).toEqual(await ids(alone));
      model.dispose();
      alone.dispose();
    }
  });

  it('runs quantized weights, batches, code-row caches and caches that go on, on three devices', async () => {
    await using rt = await open();
    const deviceMap = {
      'model.embed_tokens': 0,
      'model.layers.0': 'cuda:1',
      'model.layers.1': 'cpu',
      'model.norm': 1,
      lm_head: 0,
    };
    const quantizationConfig = int4WeightOnly({ groupSize: 32 });
    const alone = await load(rt, { device: 'cpu', quantizationConfig });
    const model = await load(rt, { deviceMap, quantizationConfig });
    const prompts = [PROMPT, PROMPT.slice(2)];
    const run = async (m: CausalLM): Promise<(readonly number[])[]> => {
      using past = new PastKeyValues(m);
      const first = await m.generate(PROMPT, { maxNewTokens: 5, pastKeyValues: past });
      const next = await m.generate([...PROMPT, ...first.ids], { maxNewTokens: 5, pastKeyValues: past });
      const coded = await m.generate(PROMPT, { maxNewTokens: 5, kvCache: 'int8' });
      const both = await m.generate(prompts, { maxNewTokens: 5 });
      return [first, next, coded, ...both].map((r) => r.ids);
    };
    expect(await run(model)).toEqual(await run(alone));
    model.dispose();
    alone.dispose();
  });

  it('runs stories-7m with a layer on a GPU', async () => {
    await using rt = await open();
    const deviceMap = { '': 'cpu', 'model.layers.2': 'cuda' };
    const alone = await load(rt, { device: 'cpu' }, STORIES);
    const model = await load(rt, { deviceMap }, STORIES);
    expect(await ids(model, 8)).toEqual(await ids(alone, 8));
    model.dispose();
    alone.dispose();
  });
});

describe.skipIf(skip !== '')('autoRuntime', () => {
  it('takes the GPU, and the ones that are named', async () => {
    const devices = async (options: Parameters<typeof autoRuntime>[0]): Promise<[string, readonly string[]]> => {
      await using rt = await autoRuntime({ log, ...options });
      return [rt.device, rt.devices];
    };
    expect(await devices({})).toEqual(['cuda', ['reference', 'cuda', 'cpu']]);
    expect(await devices({ device: 'cuda:0' })).toEqual(['cuda', ['reference', 'cuda']]);
    expect(await devices({ device: 'cpu' })).toEqual(['cpu', ['reference', 'cpu']]);
    expect(await devices({ device: 'cuda:1' })).toEqual(['cuda:1', ['reference', 'cuda:1']]);
    expect(await devices({ devices: 'all' })).toEqual(['cuda', ['reference', 'cuda', 'cuda:1', 'cpu']]);
    await expect(devices({ device: 'cuda:2' })).rejects.toThrow(/device 2; this machine has 2, counted from 0/);
  });

  it('takes the cpu where no GPU can be used, and says why where one is asked for', async () => {
    process.env['AO_CUDA'] = '0';
    await using rt = await autoRuntime({ log });
    expect(rt.device).toBe('cpu');
    await expect(autoRuntime({ device: 'cuda' })).rejects.toThrow(/AO_CUDA=0 asks for no native code/);
    process.env['AO_CUDA'] = emulated;
  });
});
