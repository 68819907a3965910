import {
  createRuntime,
  type Dense,
  dequantize,
  type Extension,
  int32,
  isAoError,
  keep,
  type LogMessage,
  packer,
  prepare,
  type Runtime,
  scope,
  stateDict,
  type Tensor,
  tensor,
} from '@ao/core';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type AoConfig,
  checkMatrix,
  computeError,
  configSpec,
  dequantize_,
  formatReport,
  fqnToConfig,
  int4,
  int4Kind,
  int4WeightOnly,
  int8,
  int8DynamicActivationInt8Weight,
  int8FromHp,
  int8Kind,
  int8StaticActivationInt8Weight,
  int8WeightOnly,
  intxKind,
  intxWeightOnly,
  makeConfig,
  parseScheme,
  perGroup,
  planTensor,
  quantization,
  quantize_,
  quantizeTensor,
  schemeEntries,
} from '../src/index.ts';
import { Model, matrix } from './model.ts';

let rt: Runtime;
let log: LogMessage[];
beforeEach(async () => {
  log = [];
  rt = await createRuntime({ use: [quantization()], log: (m) => log.push(m) });
});

async function failure(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    if (isAoError(error, 'ERR_AO_CONFIG')) return error.message;
    throw error;
  }
  return 'nothing was thrown';
}

const ids = (): Dense => tensor(rt, [[1, 5, 39]], { dtype: int32 });
const forward = (model: Model): Float32Array => scope(() => model.call(ids()).dataSync() as Float32Array);

describe('quantize_', () => {
  it('replaces every Linear, ties counted once, and reports', async () => {
    const model = new Model(rt);
    const before = forward(model);
    const report = await quantize_(model, int8WeightOnly());
    expect(report.rows.map((r) => [r.fqn, r.tied, r.scheme])).toEqual([
      ['embed_tokens.weight', ['lm_head.weight'], 'int8wo'],
      ['layers.0.up_proj.weight', [], 'int8wo'],
      ['layers.0.down_proj.weight', [], 'int8wo'],
      ['layers.1.up_proj.weight', [], 'int8wo'],
      ['layers.1.down_proj.weight', [], 'int8wo'],
    ]);
    expect(model.embed_tokens.weight).toBe(model.lm_head.weight);
    expect(int8Kind.is(model.layers[1]?.down_proj.weight)).toBe(true);
    for (const row of report.rows) {
      expect(row).toMatchObject({ bits: 8, activation: 'exact', dtype: 'float32' });
      expect(row.sqnr).toBeGreaterThan(38);
      const [n, k] = row.shape as [number, number];
      expect(row.bytesBefore).toBe(4 * n * k);
      expect(row.bytesAfter).toBe(n * k + 4 * n + n);
    }
    const left = [...stateDict(model).values()].reduce((sum, t) => sum + (t.kind === null ? 4 * t.numel : 0), 0);
    expect(report.bytesAfter).toBe(left + report.rows.reduce((sum, r) => sum + r.bytesAfter, 0));
    const after = forward(model);
    expect(await computeError(tensor(rt, before), tensor(rt, after))).toBeGreaterThan(30);
    expect(formatReport(report)).toContain('embed_tokens.weight (= lm_head.weight)');
  });

  it.each([
    'int8dq',
    'int4wo-32',
    'int4wo-hqq-32',
    'intx4-sym-32',
    'intx4-asym-32',
    'intx2-asym-32',
    '8da4w-32',
    'int8wo-32',
    'int8wo-tensor',
    'int4wo-32:int8-group',
    'int8wo:int8-token',
  ])('runs with %s, and dequantize_ goes back', async (name) => {
    const model = new Model(rt);
    const before = forward(model);
    const report = await quantize_(model, parseScheme(name), { filterFn: (_m, fqn) => fqn.startsWith('layers') });
    expect(report.rows.filter((r) => r.scheme !== null)).toHaveLength(4);
    expect(report.rows[0]).toMatchObject({
      fqn: 'embed_tokens.weight',
      skipped: 'not selected by filterFn',
      scheme: null,
    });
    const quantized = forward(model);
    const bits = report.rows[1]?.bits as number;
    expect(await computeError(tensor(rt, before), tensor(rt, quantized))).toBeGreaterThan(
      bits === 8 ? 30 : bits === 4 ? 10 : 0,
    );
    const weights = model.layers.map((l) => dequantize(l.up_proj.weight).dataSync());
    expect(await dequantize_(model)).toHaveLength(4);
    expect(model.layers.map((l) => l.up_proj.weight.kind)).toEqual([null, null]);
    expect(model.layers.map((l) => l.up_proj.weight.dataSync())).toEqual(weights);
  });

  it('does nothing in a dry run but says what it would do', async () => {
    const model = new Model(rt);
    const report = await quantize_(model, int4WeightOnly({ groupSize: 32 }), { dryRun: true });
    expect(report).toMatchObject({ dryRun: true });
    expect(report.rows[1]).toMatchObject({
      scheme: 'int4wo-32',
      bits: 4,
      sqnr: null,
      bytesBefore: 4 * 96 * 64,
      bytesAfter: (96 * 64) / 2 + 8 * 96 * 2,
    });
    expect([...stateDict(model).values()].every((t) => t.kind === null)).toBe(true);
    const done = await quantize_(model, int4WeightOnly({ groupSize: 32 }));
    expect(done.rows.map((r) => r.bytesAfter)).toEqual(report.rows.map((r) => r.bytesAfter));
    expect(done.bytesAfter).toBe(report.bytesAfter);
  });

  it('names every weight that does not fit, and a size that does, before any work', async () => {
    const model = new Model(await createRuntime({ use: [quantization(), whole64()] }));
    const config = makeConfig(whole64Spec, {});
    const message = await failure(quantize_(model, config));
    expect(message).toContain('2 weights cannot have their scheme; nothing was changed');
    expect(message).toContain(
      'layers.0.down_proj.weight: 96 columns are no multiple of the group size 64; group size 32 fits',
    );
    expect(message).toContain('layers.1.down_proj.weight');
    expect([...stateDict(model).values()].every((t) => t.kind === null)).toBe(true);
    const report = await quantize_(model, config, { onUnsupported: 'skip' });
    expect(report.rows[2]?.skipped).toContain('group size 32 fits');
    expect(report.rows[1]?.scheme).toBe('whole-64');
  });

  it('says which extension is missing', async () => {
    const bare = await createRuntime({ use: [int4()] });
    expect(await failure(quantize_(new Model(bare), int8WeightOnly()))).toContain(
      "quantization() from '@ao/quantization'",
    );
    expect(await failure(quantize_(new Model(rt), 'int8wo' as never))).toContain('not a string');
    const other = { type: 'NoSuchConfig' } as AoConfig;
    expect(await failure(quantize_(new Model(rt), other))).toContain('NoSuchConfig');
  });

  it('skips what is quantized already', async () => {
    const model = new Model(rt);
    await quantize_(model, int8WeightOnly());
    const again = await quantize_(model, int4WeightOnly({ groupSize: 32 }));
    expect(again.rows.every((r) => r.skipped === 'already quantized (int8)' && r.bits >= 8)).toBe(true);
  });

  it('stops at an abort and reports progress', async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const onProgress = (p: { done: number; total: number; fqn: string }): void => {
      seen.push(`${p.done}/${p.total} ${p.fqn}`);
      if (p.done === 2) stop.abort();
    };
    await expect(quantize_(new Model(rt), int8WeightOnly(), { onProgress, signal: stop.signal })).rejects.toThrow(
      'aborted',
    );
    expect(seen).toEqual(['1/5 embed_tokens.weight', '2/5 layers.0.up_proj.weight']);
  });

  it('warns of symmetric int1, which loses every weight', async () => {
    await quantize_(new Model(rt), intxWeightOnly({ weightDtype: 'int1' }), { dryRun: true });
    expect(log.filter((m) => m.message.includes('int1'))).toHaveLength(1);
  });

  it('frees what it replaces', async () => {
    const model = new Model(rt);
    const old = model.layers[0]?.up_proj.weight as Tensor;
    const live = rt.backend('reference').memory().live;
    await quantize_(model, int8WeightOnly());
    expect(old.disposed).toBe(true);
    expect(rt.backend('reference').memory().live).toBeLessThan(0.4 * live);
    model.dispose();
    expect(rt.backend('reference').memory().live).toBe(0);
  });
});

describe('rules', () => {
  it('come before the config; null leaves; unused ones are named', async () => {
    const model = new Model(rt);
    const rules = [
      ['re:.*down_proj', int8WeightOnly()],
      ['layers.1.*', null],
      ['nothing.here', null],
    ] as const;
    const report = await quantize_(model, int4WeightOnly({ groupSize: 32 }), { rules });
    expect(report.rows.map((r) => [r.fqn, r.scheme, r.rule ?? null])).toEqual([
      ['embed_tokens.weight', 'int4wo-32', null],
      ['layers.0.up_proj.weight', 'int4wo-32', null],
      ['layers.0.down_proj.weight', 'int8wo', 're:.*down_proj'],
      ['layers.1.up_proj.weight', null, 'layers.1.*'],
      ['layers.1.down_proj.weight', 'int8wo', 're:.*down_proj'],
    ]);
    expect(report.unusedRules).toEqual(['nothing.here']);
    expect(log).toContainEqual({
      level: 'warn',
      code: 'unused-rule',
      message: "rule 'nothing.here' matches no weight",
    });
  });

  it('alone touch only what they match, embeddings too', async () => {
    const model = new Model(rt);
    const report = await quantize_(model, [['embed_tokens', int8WeightOnly()]]);
    expect(report.rows.filter((r) => r.scheme !== null).map((r) => r.fqn)).toEqual(['embed_tokens.weight']);
    expect(model.lm_head.weight).toBe(model.embed_tokens.weight);
    expect(report.rows[1]?.skipped).toBe('no rule matches');
    expect(forward(model).every(Number.isFinite)).toBe(true);
  });

  it('must agree about one tensor', async () => {
    const rules = [
      ['lm_head', null],
      ['embed_tokens', int8WeightOnly()],
    ] as const;
    expect(await failure(quantize_(new Model(rt), rules))).toContain(
      'embed_tokens.weight and lm_head.weight are one tensor',
    );
  });

  it('read fqnToConfig, whose _default means every Linear', async () => {
    const model = new Model(rt);
    const config = fqnToConfig({
      lm_head: null,
      're:layers\\.0\\..*': int8WeightOnly(),
      _default: int4WeightOnly({ groupSize: 32 }),
    });
    const report = await quantize_(model, config);
    expect(report.rows.map((r) => r.scheme)).toEqual([null, 'int8wo', 'int8wo', 'int4wo-32', 'int4wo-32']);
    expect(await failure(quantize_(model, config, { filterFn: () => true }))).toContain('must be left out');
  });
});

/** A config whose groups must be whole. */
const whole64Spec = configSpec<AoConfig>({ type: 'Whole64Config', version: 1, fields: {}, scheme: () => 'whole-64' });
const whole64 = (): Extension => ({
  name: 'whole64',
  entries: schemeEntries(
    whole64Spec,
    (_config, info) =>
      checkMatrix(info, 64, [64, 32], 'use rows') ?? {
        scheme: 'whole-64',
        bits: 8,
        bytes: 0,
        activation: 'exact',
        quantize: (w) => int8FromHp(w, { granularity: perGroup(64) }),
      },
  ),
});

describe('planTensor and quantizeTensor', () => {
  it('answer from shapes alone', () => {
    const plan = planTensor(rt, int4WeightOnly({ groupSize: 128 }), { shape: [8, 576], dtype: 'bfloat16' });
    expect(plan).toMatchObject({ bytes: 8 * (576 / 2 + 5 * 4), scheme: 'int4wo-128' });
    expect(planTensor(rt, int4WeightOnly(), { shape: [8, 575], dtype: 'bfloat16' })).toMatchObject({
      problem: '575 columns do not pair up, and int4 has two codes to a byte',
    });
    expect(planTensor(rt, int4WeightOnly({ groupSize: 32 }), { shape: [8, 576], dtype: 'int8' })).toMatchObject({
      problem: 'the weight is int8',
    });
    expect(planTensor(rt, int8WeightOnly(), { shape: [8], dtype: 'float32' })).toMatchObject({
      problem: 'the weight [8] is no matrix',
    });
    expect(
      planTensor(rt, int4WeightOnly({ int4PackingFormat: 'PRESHUFFLED' }), { shape: [8, 128], dtype: 'float32' }),
    ).toMatchObject({ fix: expect.stringContaining('PLAIN') });
    expect(planTensor(rt, int8StaticActivationInt8Weight(), { shape: [8, 128], dtype: 'float32' })).toMatchObject({
      fix: expect.stringContaining('actQuantScale'),
    });
    expect(
      planTensor(rt, intxWeightOnly({ granularity: perGroup(48) }), { shape: [8, 100], dtype: 'float32' }),
    ).toMatchObject({ bytes: 8 * (100 + 3 * 4) });
  });

  it('throw what quantize_ would report', () => {
    expect(() => quantizeTensor(matrix(rt, 2, 47, 1), int4WeightOnly({ groupSize: 32 }), 'a.weight')).toThrow(
      'tensor a.weight',
    );
  });

  it('make the kinds of torchao', () => {
    const w = matrix(rt, 4, 64, 1);
    expect(int4Kind.is(quantizeTensor(w, int4WeightOnly({ groupSize: 32 })))).toBe(true);
    expect(intxKind.is(quantizeTensor(w, intxWeightOnly()))).toBe(true);
    expect(int8Kind.is(quantizeTensor(w, int8DynamicActivationInt8Weight()))).toBe(true);
  });

  it('single schemes serve alone', async () => {
    const only = await createRuntime({ use: [int8()] });
    const w = quantizeTensor(keep(matrix(only, 4, 64, 1)), int8WeightOnly());
    expect(int8Kind.is(w)).toBe(true);
    expect([...only.kinds.keys()]).toEqual(['int8']);
    await prepare(new Model(only));
  });
});

it('a scheme that the device cannot pack is told to save memory, not time, in the log and its rows', async () => {
  const none = { name: 'packs floats alone', entries: [packer('reference', { pack: () => null })] };
  const slow = await createRuntime({ use: [quantization(), none], log: (m) => log.push(m) });
  const model = new Model(slow);
  const report = await quantize_(model, int8WeightOnly());
  const warning = 'the reference has no kernel for int8wo: it saves memory, not time';
  expect(report.rows.map((r) => r.note)).toEqual(report.rows.map(() => warning));
  expect(log.filter((m) => m.code === 'slower').map((m) => m.message)).toEqual([warning]);
  expect(formatReport(report)).toContain(warning);
  // without a packer nothing is slower than it could be
  expect((await quantize_(new Model(rt), int8WeightOnly())).rows.some((r) => r.note !== undefined)).toBe(false);
});
