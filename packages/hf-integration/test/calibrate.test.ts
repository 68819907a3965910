// Calibration of the bundled model: rotations leave its logits, algorithms beat rounding to nearest, and what they make is saved.
import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { arange, int32, scope, tensor } from '@ao/core';
import { awq, type CalibrationAlgorithm, gptq, parseScheme, rotate, rotateModel, smoothQuant } from '@ao/quantization';
import { afterAll, describe, expect, it } from 'vitest';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime, type CausalLM, calibrateModel, evaluate, widen, windowsOf } from '../src/index.ts';

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
const [held, data] = [ids.slice(0, 6 * WINDOW + 1), windowsOf(ids.slice(6 * WINDOW + 1), WINDOW, 8)];

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
      console.log(worst, Math.max(...before.map(Math.abs)));
      expect(worst).toBeLessThan(2e-4);
      model.dispose();
    });
  }
});
