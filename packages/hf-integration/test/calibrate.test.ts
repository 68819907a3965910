// Calibration of the bundled model: rotations leave its logits, algorithms beat rounding to nearest, and what they make is saved.
import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { arange, int32, scope, tensor } from '@ao/core';
import { baseAlgorithm, type CalibrationAlgorithm, gptq, parseScheme, rotate, rotateModel } from '@ao/quantization';
import { afterAll, describe, expect, it } from 'vitest';
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  type CausalLM,
  calibrateModel,
  evaluate,
  widen,
  windowsOf,
} from '../src/index.ts';

const folder = fileURLToPath(new URL('../../../apps/stories-7m', import.meta.url));
const rt = await autoRuntime({});
afterAll(() => rt.close());
const load = (from = folder): Promise<CausalLM> =>
  AutoModelForCausalLM.fromPretrained(from, { runtime: rt, dtype: 'float32' });

const tokenizer = await AutoTokenizer.fromPretrained(folder);
const text = readFileSync(join(folder, 'validation.txt'), 'utf8');
const ids = tokenizer.encode(text.slice(0, 60_000), { addSpecialTokens: false });
const WINDOW = 256;
/** What is evaluated is never calibrated on. */
const [held, data] = [ids.slice(0, 4 * WINDOW + 1), windowsOf(ids.slice(4 * WINDOW + 1), WINDOW, 6)];

async function logits(model: CausalLM): Promise<Float32Array> {
  const cache = model.createCache(32);
  const out = scope(() => {
    const positions = arange(rt, 0, 32, 1, { device: model.device });
    const x = tensor(rt, Int32Array.from(held.slice(0, 32)), { shape: [1, 32], dtype: int32, device: model.device });
    return model.forward(x, { cache, positions });
  });
  cache.dispose();
  return Float32Array.from(await out.data());
}

describe('rotation', () => {
  for (const options of [{ r2: false }, { r1: false }, {}]) {
    it(`leaves the logits: ${JSON.stringify(options)}`, async () => {
      const model = await load();
      await widen(model);
      const before = await logits(model);
      await rotateModel(model, model.structure, options);
      const after = await logits(model);
      const worst = before.reduce((w, v, i) => Math.max(w, Math.abs(v - after[i]!)), 0);
      expect(worst).toBeLessThan(2e-4);
      model.dispose();
    });
  }
});

const scheme = parseScheme('intx3-64');

async function crossEntropy(algorithm?: CalibrationAlgorithm): Promise<number> {
  const model = await load();
  if (algorithm !== undefined) await calibrateModel(model, data, algorithm, { window: WINDOW, sqnr: false });
  const { crossEntropy: nats } = await evaluate(model, held, { window: WINDOW });
  model.dispose();
  return nats;
}

describe('algorithms on stories-7m, int3 g64', () => {
  it('lose less than rounding to nearest', async () => {
    const nearest = await crossEntropy(baseAlgorithm(scheme));
    const exact = await crossEntropy();
    for (const algorithm of [gptq(scheme), rotate(scheme)]) {
      expect((await crossEntropy(algorithm)) - exact, algorithm.name).toBeLessThan(nearest - exact);
    }
  });

  it('rotation, at each call too, then GPTQ: saved, loaded and evaluated alike, with a head of its own', async () => {
    const model = await load();
    await calibrateModel(model, data.slice(0, 2), rotate(gptq(scheme), { r4: true }), { window: WINDOW, sqnr: false });
    const path = join(await mkdtemp(join(tmpdir(), 'ao-calibrate-')), 'model');
    await model.savePretrained(path);
    const again = await load(path);
    expect(again.origin?.quantization?.quantType).toEqual(scheme);
    expect(JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')).tie_word_embeddings).toBe(false);
    const turned = (m: CausalLM) =>
      [...m.namedParameters()].flatMap(([name, t]) => (t.kind?.name === 'rotated' ? name : []));
    expect(turned(again)).toHaveLength(8);
    expect(turned(again)).toEqual(turned(model));
    expect(await logits(again)).toEqual(await logits(model));
  });

  it('windows that do not fit are named', async () => {
    const model = await load();
    const run = calibrateModel(model, [held.slice(0, 100)], gptq(scheme), { window: 64 });
    await expect(run).rejects.toThrow(/a calibration window of 100 tokens, where at most 64 fit/);
  });
});
