// autoquant: what it logs, that every layer keeps minSqnr, that the plan is the fastest of what it measured, and that a saved
// plan gives the same bytes. Nothing here depends on which candidate is faster on this machine.
import { type Dense, dequantize, int32, linear, linears, Module, type Tensor, tensor } from '@ao/core';
import { describe, expect, it } from 'vitest';
import {
  applyAutoquantPlan,
  autoquant,
  autoquantCandidates,
  autoquantPlanFromJson,
  autoquantPlanToJson,
  configFromFile,
  finalizeAutoquant,
  formatAutoquantPlan,
  parseScheme,
} from '../src/index.ts';
import { devices } from './devices.ts';
import { Model, matrix } from './model.ts';

const CANDIDATES = ['int8wo', 'int4wo-32', 'int8dq', 'intx2-sym-32'].map((s) => parseScheme(s));

/** Kind and values of every weight as it is now, by name. */
async function bytesOf(model: Module): Promise<Record<string, unknown>> {
  const out: Record<string, unknown> = {};
  for (const [name, t] of model.namedParameters()) {
    const w = (t.kind === null ? t : dequantize(t)) as Dense;
    out[name] = [t.kind?.name ?? null, Buffer.from(new Uint8Array((await w.bits()).buffer)).toString('base64')];
  }
  return out;
}

describe.each(devices)('autoquant on $device', ({ rt }) => {
  const ids = (n: number): Tensor =>
    tensor(
      rt,
      Int32Array.from({ length: n }, (_, i) => i),
      { shape: [1, n], dtype: int32 },
    );

  it('every layer keeps minSqnr and gets the fastest that does; the saved plan gives the same bytes', async () => {
    const model = new Model(rt);
    const plain = await model.call(ids(5)).data();
    autoquant(model, { minSqnr: 30, candidates: CANDIDATES, rounds: 3 });
    // the examples give what they gave
    expect(await model.call(ids(5)).data()).toEqual(plain);
    model.call(ids(1));
    model.call(ids(1));
    const plan = await finalizeAutoquant(model);
    expect(plan.layers.flatMap((l) => l.names)).toEqual([
      'layers.0.up_proj.weight',
      'layers.0.down_proj.weight',
      'layers.1.up_proj.weight',
      'layers.1.down_proj.weight',
      'embed_tokens.weight',
    ]);
    for (const layer of plan.layers) {
      expect(layer.calls).toEqual({ 1: 2, 5: 1 });
      const schemes = Object.keys(layer.microseconds);
      expect([...schemes].sort()).toEqual(['as it is', 'int4wo-32', 'int8dq', 'int8wo', 'intx2-sym-32']);
      const times = Object.values(layer.microseconds);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      if (layer.sqnr !== null) expect(layer.sqnr).toBeGreaterThanOrEqual(30);
      // 2 bits never are enough
      expect(layer.scheme).not.toBe('intx2-sym-32');
    }
    const text = autoquantPlanToJson(plan);
    expect(autoquantPlanFromJson(text)).toEqual(plan);
    expect(configFromFile(text)).toEqual(plan.config);
    for (const { names } of plan.layers) expect(formatAutoquantPlan(plan)).toContain(names.join(', '));
    const [a, b] = [new Model(rt), new Model(rt)];
    await applyAutoquantPlan(a, autoquantPlanFromJson(text));
    await applyAutoquantPlan(b, autoquantPlanFromJson(text));
    expect(await bytesOf(a)).toEqual(await bytesOf(model));
    expect(await bytesOf(b)).toEqual(await bytesOf(a));
    for (const m of [model, a, b]) m.dispose();
  });

  it('without minSqnr the fastest wins, whatever it costs', async () => {
    const model = autoquant(new Model(rt), { candidates: CANDIDATES, rounds: 1, calls: { 3: 2 } });
    model.call(ids(4));
    const plan = await finalizeAutoquant(model);
    for (const { scheme, microseconds, calls } of plan.layers) {
      expect(scheme).toBe(Object.keys(microseconds)[0]);
      expect(calls).toEqual({ 3: 2 });
    }
    model.dispose();
  });

  it('an SQNR that nothing keeps leaves the weights as they are', async () => {
    const model = autoquant(new Model(rt), { minSqnr: 500, candidates: CANDIDATES, rounds: 1 });
    model.call(ids(2));
    const plan = await finalizeAutoquant(model);
    expect(plan.layers.map((l) => [l.scheme, l.config])).toEqual(plan.layers.map(() => ['as it is', null]));
    expect(model.parameters().every((t) => t.kind === null)).toBe(true);
    model.dispose();
  });

  it('weights of one call get one config', async () => {
    class Three extends Module {
      q = matrix(rt, 64, 32, 1);
      k = matrix(rt, 32, 32, 2);
      o = matrix(rt, 32, 64, 3);
      override packableNames = (): readonly string[] => ['q', 'k', 'o'];
      forward = (x: Tensor): Tensor => linear(linears(x, [this.q, this.k])[0] as Tensor, this.o);
    }
    const model = autoquant(new Three(), { candidates: CANDIDATES, rounds: 1, filterFn: () => true });
    model.call(matrix(rt, 2, 32, 9));
    const plan = await finalizeAutoquant(model);
    expect(plan.layers.map((l) => l.names)).toEqual([['q', 'k'], ['o']]);
    expect(model.q.kind).toBe(model.k.kind);
    model.dispose();
  });
});

const { rt } = devices[0] as (typeof devices)[number];

it('errors: twice, without examples, without autoquant; the model is as it was', async () => {
  const model = new Model(rt);
  const weights = model.parameters();
  autoquant(model);
  expect(() => autoquant(model)).toThrow(/logs already/);
  await expect(finalizeAutoquant(model)).rejects.toThrow(/no layer has run/);
  expect(model.parameters()).toEqual(weights);
  await expect(finalizeAutoquant(model)).rejects.toThrow(/without autoquant/);
  expect(() => autoquantPlanFromJson('{"config": {"a": "int8wo"}}')).toThrow(/no autoquant plan/);
  model.dispose();
});

it('the default candidates are those that torchao’s autoquant had, and integer activations', () => {
  expect(autoquantCandidates()).toEqual(
    expect.arrayContaining(['int8wo', 'int8dq', 'int4wo-hqq-32', '8da4w-32'].map((s) => parseScheme(s))),
  );
});
