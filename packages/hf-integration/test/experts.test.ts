// Mixtures of experts: checkpoints that hold them in 3-D tensors, rules for single experts, and quantizing in place.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  arange,
  bfloat16,
  dequantize,
  int32,
  reshape,
  scope,
  slice,
  type Tensor,
  tensor,
  type Wrapped,
  writeSafetensors,
} from '@ao/core';
import {
  fqnToConfig,
  int4WeightOnly,
  int8WeightOnly,
  parseScheme,
  quantize_,
  quantizeTensor,
  writeStateDict,
} from '@ao/quantization';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AutoConfig } from '../src/auto-config.ts';
import { autoRuntime } from '../src/auto-runtime.ts';
import { convertCheckpoint } from '../src/convert/convert-checkpoint.ts';
import { openCheckpoint } from '../src/files/checkpoint.ts';
import { createFile } from '../src/files/node-file.ts';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { inspect } from '../src/quantize/inspect.ts';
import { planQuantization } from '../src/quantize/plan.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import { torchAoConfig, torchAoConfigToJson } from '../src/quantize/torchao-config.ts';
import { type FamilyFixture, familyBytes, familyFixture, type Stack, writeFamily } from './family-fixtures.ts';

const runtime = await autoRuntime();
let root: string;
let mixtral: FamilyFixture;
let qwen: FamilyFixture;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ao-experts-'));
  [mixtral, qwen] = await Promise.all([familyFixture('mixtral'), familyFixture('qwen3-moe')]);
  for (const fixture of [mixtral, qwen]) await writeFamily(join(root, fixture.name), fixture);
});
afterAll(async () => {
  await runtime.close();
  await rm(root, { recursive: true, force: true });
});

const load = (folder: string, options = {}): Promise<CausalLM> =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32', ...options });

async function logitsOf(model: CausalLM, ids: readonly number[]): Promise<Float32Array> {
  using cache = model.createCache(ids.length);
  const logits = scope(() =>
    model.call(tensor(runtime, [[...ids]], { dtype: int32 }), { cache, positions: arange(runtime, 0, ids.length) }),
  );
  const values = (await logits.data()) as Float32Array;
  logits.dispose();
  return values;
}

/** transformers' 3-D tensors of a layer's experts below `at`, made of those below `own`. */
function stacks(at: string, own: string, count: number, names: readonly string[]): Record<string, Stack> {
  const each = (some: readonly string[]): string[] =>
    Array.from({ length: count }, (_, e) => some.map((name) => `${own}.experts.${e}.${name}.weight`)).flat();
  return {
    [`${at}.experts.gate_up_proj`]: { shape: [count, 64, 32], of: each(names.slice(0, 2)) },
    [`${at}.experts.down_proj`]: { shape: [count, 32, 32], of: each(names.slice(2)) },
  };
}

const stackedMixtral = (): Record<string, Stack> =>
  Object.assign(
    {},
    ...[0, 1].map((i) => {
      const [at, own] = [`model.layers.${i}.mlp`, `model.layers.${i}.block_sparse_moe`];
      return {
        ...stacks(at, own, 4, ['w1', 'w3', 'w2']),
        [`${at}.gate.weight`]: { shape: [4, 32], of: [`${own}.gate.weight`] },
      };
    }),
  );
const stackedQwen = (): Record<string, Stack> =>
  stacks('model.layers.0.mlp', 'model.layers.0.mlp', 20, ['gate_proj', 'up_proj', 'down_proj']);

test.each([
  ['mixtral', stackedMixtral],
  ['qwen3-moe', stackedQwen],
])('%s with its experts in 3-D tensors is the same model', async (name, stacked) => {
  const fixture = name === 'mixtral' ? mixtral : qwen;
  const folder = join(root, `${name}-stacked`);
  await writeFamily(folder, fixture, { stacks: stacked() });
  const { ids } = fixture.cases[0]!;
  for (const options of [{}, { quantizationConfig: torchAoConfig(int4WeightOnly({ groupSize: 32 })) }]) {
    const [own, other] = [await load(join(root, name), options), await load(folder, options)];
    expect(await logitsOf(other, ids)).toEqual(await logitsOf(own, ids));
    own.dispose();
    other.dispose();
  }
  const made = await inspect(folder);
  expect(made.modules.map((m) => m.parameter).sort()).toEqual(Object.keys(fixture.tensors).sort());
  const quantizationConfig = torchAoConfig(int8WeightOnly());
  await quantizeCheckpoint(folder, `${folder}-int8`, { quantizationConfig, runtime });
  await quantizeCheckpoint(join(root, name), `${folder}-own-int8`, { quantizationConfig, runtime });
  const [own, other] = [await load(`${folder}-own-int8`), await load(`${folder}-int8`)];
  expect(await logitsOf(other, ids)).toEqual(await logitsOf(own, ids));
  own.dispose();
  other.dispose();
});

test('3-D experts of another size are an error that names them', async () => {
  const folder = join(root, 'mixtral-wrong');
  const { 'model.layers.1.mlp.experts.down_proj': down, ...rest } = stackedMixtral();
  const wrong = { shape: [3, 32, 32], of: down!.of.slice(1) };
  const fixture = { ...mixtral, tensors: { ...mixtral.tensors } };
  delete (fixture.tensors as Record<string, unknown>)[down!.of[0]!];
  await writeFamily(folder, fixture, { stacks: { ...rest, 'model.layers.1.mlp.experts.down_proj': wrong } });
  await expect(load(folder)).rejects.toThrow(/the shape is \[3,32,32\], config.json means 128 rows of 4 parts/);
});

/** The bytes of a float32 tensor with the fixture's bfloat16 values. */
function widened(name: string): Uint8Array {
  const codes = new Uint16Array(Uint8Array.from(familyBytes(qwen, name)).buffer);
  return new Uint8Array(Uint32Array.from(codes, (code) => code << 16).buffer);
}

test('experts that torchao quantized in 3-D tensors, as transformers saves them', async () => {
  const { config, tensors, metadata, logits } = qwen.int8Experts!;
  const own = await load(join(root, 'qwen3-moe'), { quantizationConfig: torchAoConfig(int8WeightOnly()) });
  const parameters = new Map(own.namedParameters());
  /** Parts of all experts of a stack, one after the other. */
  const stackOf = async (key: string): Promise<Uint8Array> => {
    const [, stack, part] = /experts\._(\w+_proj)_(qdata|scale|zero_point)$/.exec(key)!;
    const names = stackedQwen()[`model.layers.0.mlp.experts.${stack}`]!.of;
    const bits = names.map((name) => (parameters.get(name) as Wrapped).parts[part!]!.bits());
    return Buffer.concat((await Promise.all(bits)).map((b) => new Uint8Array(b.buffer, b.byteOffset, b.byteLength)));
  };
  const folder = join(root, 'qwen3-moe-int8-experts');
  await writeFamily(folder, qwen, { config });
  const items = Object.entries(tensors).map(([name, [dtype, shape]]) => ({ name, dtype, shape }));
  const bytes = async ({ name, begin, end }: { name: string; begin: number; end: number }): Promise<Uint8Array> => {
    if (name.endsWith('_zero_point')) return new Uint8Array(end - begin);
    return name in qwen.tensors ? widened(name) : stackOf(name);
  };
  await writeSafetensors(await createFile(join(folder, 'model.safetensors')), items, bytes, { metadata });
  own.dispose();
  const model = await load(folder);
  const difference = (await logitsOf(model, qwen.cases[0]!.ids)).map((x, i) => Math.abs(x - logits[i]!));
  expect(Math.max(...difference)).toBeLessThan(1e-4);
  expect([...model.namedParameters()].filter(([, t]) => t.kind?.name === 'int8').length).toBe(60);
  model.dispose();
});

// int4's scales lie by columns, a scale of the whole stack serves every expert, and intx3 is our own form
test.each(['int4wo-32', 'float8wo-tensor', 'int8wo-16', 'intx3-asym-32'])(
  '%s: experts that were quantized as a stack',
  async (scheme) => {
    const plain = await load(join(root, 'qwen3-moe'), { dtype: 'bfloat16' });
    const state = new Map(plain.namedParameters());
    const wanted = new Map<string, Tensor>();
    for (const [stack, { shape, of }] of Object.entries(stackedQwen())) {
      const values = await Promise.all(
        of.map(async (name) => [...(await dequantize(state.get(name)!).data())].map(Number)),
      );
      const quantized = quantizeTensor(tensor(runtime, values.flat(), { shape, dtype: bfloat16 }), parseScheme(scheme));
      const rows = reshape(dequantize(quantized), [-1, shape[2]!]);
      let at = 0;
      for (const name of of) {
        const count = state.get(name)!.shape[0]!;
        wanted.set(name, slice(rows, 0, at, at + count));
        at += count;
        state.delete(name);
      }
      state.set(stack, quantized);
    }
    const folder = join(root, `qwen3-moe-stacks-${scheme}`);
    const experts = fqnToConfig([['re:.*experts\\.(gate_up_proj|down_proj)', parseScheme(scheme)]]);
    const quantization_config = torchAoConfigToJson(torchAoConfig(experts), runtime);
    await writeFamily(folder, qwen, { config: { ...qwen.config, quantization_config } });
    await writeStateDict(state, await createFile(join(folder, 'model.safetensors')));
    const model = await load(folder, { dtype: 'bfloat16' });
    for (const [name, w] of model.namedParameters()) {
      const want = wanted.get(name);
      if (want === undefined) continue;
      expect(w.kind).not.toBeNull();
      expect(await dequantize(w).data(), name).toEqual(await want.data());
    }
    expect(wanted.size).toBe(60);
    plain.dispose();
    model.dispose();
  },
);

test.each(['int8wo', 'int4wo-32', 'intx3-asym-32'])(
  '%s: convert --to torchao puts experts together, and they load',
  async (scheme) => {
    const quantizationConfig = torchAoConfig(parseScheme(scheme));
    const [own, other] = [join(root, `mixtral-${scheme}`), join(root, `mixtral-${scheme}-torchao`)];
    await quantizeCheckpoint(join(root, 'mixtral'), own, { quantizationConfig, runtime });
    const { notes } = await convertCheckpoint(own, other, { to: 'torchao', runtime });
    expect(notes).toEqual([]);
    await using checkpoint = await openCheckpoint(other);
    const { tensors } = checkpoint;
    const names = tensors.names.filter((name) => name.includes('experts'));
    expect(names.every((name) => /mlp\.experts\._(gate_up|down)_proj_(qdata|scale|zero_point)$/.test(name))).toBe(true);
    expect(tensors.entry('model.layers.1.mlp.experts._gate_up_proj_qdata').shape).toEqual([
      4,
      64,
      scheme === 'int4wo-32' ? 16 : 32,
    ]);
    const { ids } = mixtral.cases[0]!;
    const [a, b] = [await load(own), await load(other)];
    expect(await logitsOf(b, ids)).toEqual(await logitsOf(a, ids));
    a.dispose();
    b.dispose();
  },
);

test('experts that cannot go together are left one by one, and named', async () => {
  const config = fqnToConfig([
    ['re:.*experts\\.[12]\\.w1', null],
    ['_default', int8WeightOnly()],
  ]);
  const [own, other] = [join(root, 'mixtral-mixed'), join(root, 'mixtral-mixed-torchao')];
  await quantizeCheckpoint(join(root, 'mixtral'), own, { quantizationConfig: torchAoConfig(config), runtime });
  const { notes } = await convertCheckpoint(own, other, { to: 'torchao', runtime });
  expect(notes).toEqual(
    [0, 1].map((i) => expect.stringMatching(`model.layers.${i}.mlp.experts.gate_up_proj: .* left one by one`)),
  );
  const { ids } = mixtral.cases[0]!;
  const [a, b] = [await load(own), await load(other)];
  expect(await logitsOf(b, ids)).toEqual(await logitsOf(a, ids));
  a.dispose();
  b.dispose();
});

test('a rule for one expert quantizes that one alone, and the layer computes with both kinds', async () => {
  const { ids } = mixtral.cases[0]!;
  const plain = await load(join(root, 'mixtral'));
  const before = await logitsOf(plain, ids);
  const config = fqnToConfig(new Map([['model.layers.0.block_sparse_moe.experts.2.w1', int8WeightOnly()]]));
  const model = await load(join(root, 'mixtral'), { quantizationConfig: torchAoConfig(config) });
  const after = await logitsOf(model, ids);
  const difference = Math.max(...after.map((x, i) => Math.abs(x - before[i]!)));
  expect(difference).toBeGreaterThan(1e-6);
  expect(difference).toBeLessThan(0.05);
  plain.dispose();
  model.dispose();
});

// torchao's form for experts in 3-D tensors: the parameter's name, exact or as a regex; every expert has its own scales
test('entries for 3-D expert parameters quantize every expert of them, loading and in place', async () => {
  const config = fqnToConfig([
    ['model.layers.0.mlp.experts.3.up_proj', null],
    ['model.layers.0.mlp.experts.gate_up_proj', int4WeightOnly({ groupSize: 32 })],
    ['re:model\\.layers\\..*\\.experts\\.down_proj', int8WeightOnly()],
    ['re:.*self_attn.*', null],
  ]);
  const kindOf = (model: CausalLM, name: string): string | undefined =>
    [...model.namedParameters()].find(([fqn]) => fqn === `model.layers.0.mlp.experts.${name}.weight`)?.[1].kind?.name;
  const loaded = await load(join(root, 'qwen3-moe'), { dtype: 'bfloat16', quantizationConfig: torchAoConfig(config) });
  const placed = await load(join(root, 'qwen3-moe'), { dtype: 'bfloat16' });
  const { rows, unusedRules } = await quantize_(placed, config);
  expect(unusedRules).toEqual([]);
  for (const model of [loaded, placed]) {
    for (const expert of [0, 3, 19]) {
      expect(kindOf(model, `${expert}.gate_proj`)).toBe('int4');
      expect(kindOf(model, `${expert}.up_proj`)).toBe(expert === 3 ? undefined : 'int4');
      expect(kindOf(model, `${expert}.down_proj`)).toBe('int8');
    }
  }
  expect(rows.filter((r) => r.rule === 'model.layers.0.mlp.experts.gate_up_proj')).toHaveLength(39);
  const { ids } = qwen.cases[0]!;
  expect(await logitsOf(placed, ids)).toEqual(await logitsOf(loaded, ids));
  for (const model of [loaded, placed]) model.dispose();
});

test('modulesToNotConvert takes the name of a 3-D parameter, and parts of names', async () => {
  const { outline } = await AutoConfig.fromPretrained(join(root, 'mixtral'));
  const left = (modulesToNotConvert: string[]): string[] =>
    planQuantization(outline, torchAoConfig(int8WeightOnly(), { modulesToNotConvert }))
      .parameters.filter((p) => p.config === null && p.parameter.role === 'linear')
      .map((p) => p.parameter.name.replace('block_sparse_moe.', ''));
  expect(left(['model.layers.1.mlp.experts.down_proj'])).toEqual(
    [0, 1, 2, 3].map((e) => `model.layers.1.experts.${e}.w2.weight`),
  );
  expect(left(['experts.2'])).toHaveLength(6);
  expect(left(['experts', 'self_attn', 'lm_head'])).toHaveLength(33);
  expect(left(['expert', 'attn'])).toEqual([]);
});

test('quantize_ takes experts one by one and leaves the router', async () => {
  // as it is stored: a bfloat16 checkpoint under float32 keeps its weights in a kind of their own
  const model = await load(join(root, 'qwen3-moe'), { dtype: 'bfloat16' });
  const { rows } = await quantize_(model, int8WeightOnly());
  const scheme = (fqn: string): string | null | undefined => rows.find((r) => r.fqn === fqn)?.scheme;
  expect(scheme('model.layers.0.mlp.experts.19.down_proj.weight')).toBe('int8wo');
  expect(scheme('model.layers.0.mlp.gate.weight')).toBeNull();
  const { ids, logits } = qwen.cases[0]!;
  const after = await logitsOf(model, ids);
  expect(Math.max(...after.map((x, i) => Math.abs(x - logits[i]!)))).toBeLessThan(0.1);
  model.dispose();
});
