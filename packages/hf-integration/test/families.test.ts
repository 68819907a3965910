// Each decoder family against transformers on a tiny random model (test/golden/families.py): logits in float32 on every
// backend, greedy decoding through captured steps, and the whole way through quantizing, saving and loading.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arange, int32, type Runtime, scope, tensor } from '@ao/core';
import { parseScheme } from '@ao/quantization';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime, probeRuntime } from '../src/auto-runtime.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { families } from '../src/models/family.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import { torchAoConfig } from '../src/quantize/torchao-config.ts';
import { UpcastTensor } from '../src/upcast.ts';
import { FAMILY_FIXTURES, type FamilyFixture, familyFixture, writeFamily } from './family-fixtures.ts';

const probed = await probeRuntime();
const native = probed.runtime.device === 'cpu';
if (!native) console.warn(`cpu skipped, no native backend: ${probed.findings.map((f) => f.reason).join('; ')}`);
await probed.runtime.close();
const devices = native ? ['reference', 'cpu'] : ['reference'];

let root: string;
let fixtures: Map<string, FamilyFixture>;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ao-families-'));
  fixtures = new Map(
    await Promise.all(FAMILY_FIXTURES.map(async (name) => [name, await familyFixture(name)] as const)),
  );
  for (const fixture of fixtures.values()) await writeFamily(join(root, fixture.name), fixture);
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Logits [T, V] of one prompt, in chunks. */
async function logitsOf(model: CausalLM, ids: readonly number[], chunk = ids.length): Promise<Float32Array> {
  using cache = model.createCache(ids.length);
  const out = new Float32Array(ids.length * model.vocabSize);
  for (let at = 0; at < ids.length; at += chunk) {
    const part = ids.slice(at, at + chunk);
    cache.truncate(at);
    const logits = scope(() =>
      model.call(tensor(model.rt, [part], { dtype: int32, device: model.device }), {
        cache,
        positions: arange(model.rt, at, at + part.length, 1, { device: model.device }),
      }),
    );
    out.set((await logits.data()) as Float32Array, at * model.vocabSize);
    logits.dispose();
  }
  return out;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

const argmax = (row: Float32Array): number => row.indexOf(Math.max(...row));

/** The token that one prefill over everything would choose after each of the new ones' predecessors. */
async function prefillChoices(model: CausalLM, ids: readonly number[], news: readonly number[]): Promise<number[]> {
  const logits = await logitsOf(model, [...ids, ...news.slice(0, -1)]);
  return news.map((_, i) => {
    const at = (ids.length - 1 + i) * model.vocabSize;
    return argmax(logits.subarray(at, at + model.vocabSize));
  });
}

describe.each(devices)('%s', (device) => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await autoRuntime({ device });
  });
  afterAll(() => runtime.close());
  const load = (folder: string, options = {}): Promise<CausalLM> =>
    AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', ...options });

  test.each(FAMILY_FIXTURES)('%s: logits and greedy tokens as transformers', async (name) => {
    const { cases } = fixtures.get(name)!;
    const model = await load(join(root, name));
    for (const { ids, greedy, logits } of cases) {
      const difference = largestDifference(await logitsOf(model, ids), logits);
      if (process.env['AO_SHOW']) console.log(`${device} ${name} ${difference.toExponential(1)}`);
      expect(difference).toBeLessThan(1e-4);
      // a step of decoding sees what a prefill sees
      expect(largestDifference(await logitsOf(model, ids, 5), logits)).toBeLessThan(1e-4);
      const run = await model.generate(ids, { maxNewTokens: greedy.length, temperature: 0, ignoreEos: true });
      expect(run.ids).toEqual(greedy);
    }
    model.dispose();
  });

  test.each(FAMILY_FIXTURES)('%s: in bfloat16, and among other sequences', async (name) => {
    const { ids, greedy, logits } = fixtures.get(name)!.cases.at(-1)!;
    const rounded = await load(join(root, name), { dtype: 'bfloat16' });
    expect(largestDifference(await logitsOf(rounded, ids), logits)).toBeLessThan(0.1);
    rounded.dispose();
    const model = await load(join(root, name));
    const options = { maxNewTokens: greedy.length, temperature: 0, ignoreEos: true };
    const [first, second] = await model.generate([ids.slice(0, 7), ids], options);
    expect(second!.ids).toEqual(greedy);
    expect(first!.ids).toEqual(await prefillChoices(model, ids.slice(0, 7), first!.ids));
    model.dispose();
  });

  test.each(FAMILY_FIXTURES)('%s: quantized, saved and loaded again', async (name) => {
    const { cases, tensors } = fixtures.get(name)!;
    const { ids, greedy } = cases.at(-1)!;
    const folder = join(root, `${name}-${device}`);
    const config = torchAoConfig(parseScheme('int4wo-32'));
    const model = await load(join(root, name), { quantizationConfig: config });
    const want = await logitsOf(model, ids);
    expect(largestDifference(want, cases.at(-1)!.logits)).toBeGreaterThan(1e-3);
    const run = await model.generate(ids, { maxNewTokens: greedy.length, temperature: 0, ignoreEos: true });
    expect(run.ids).toEqual(await prefillChoices(model, ids, run.ids));
    expect([...model.namedParameters()].map(([n]) => n).sort()).toEqual(Object.keys(tensors).sort());
    const quantized = [...model.namedParameters()]
      .filter(([, t]) => t.kind !== null && !UpcastTensor.is(t))
      .map(([n]) => n);
    const linears = Object.keys(tensors).filter((n) => /_proj\.weight$|\.w[123]\.weight$|shared_expert_gate/.test(n));
    expect(quantized.sort()).toEqual(linears.sort());
    await model.savePretrained(folder);
    model.dispose();
    const again = await load(folder);
    expect(await logitsOf(again, ids)).toEqual(want);
    again.dispose();
    await quantizeCheckpoint(join(root, name), `${folder}-disk`, {
      quantizationConfig: torchAoConfig(parseScheme('int8wo')),
      runtime,
    });
    const disk = await load(`${folder}-disk`);
    const direct = await load(join(root, name), { quantizationConfig: torchAoConfig(parseScheme('int8wo')) });
    // scales of a checkpoint in bfloat16 are rounded to it, those of weights loaded in float32 are not
    expect(largestDifference(await logitsOf(disk, ids), await logitsOf(direct, ids))).toBeLessThan(0.05);
    disk.dispose();
    direct.dispose();
  });

  test.each(FAMILY_FIXTURES)('%s: the config as transformers 5 saves it means the same', async (name) => {
    const fixture = fixtures.get(name)!;
    const folder = join(root, `${name}-${device}-saved`);
    await writeFamily(folder, fixture, { config: fixture.saved });
    const model = await load(folder);
    for (const { ids, logits } of fixture.cases)
      expect(largestDifference(await logitsOf(model, ids), logits)).toBeLessThan(1e-4);
    model.dispose();
  });
});

test('the README lists every architecture that is supported', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  for (const name of families.flatMap((f) => f.architectures)) expect(readme).toContain(`\`${name}\``);
});
