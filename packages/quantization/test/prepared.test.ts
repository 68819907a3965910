// Models as quantize_ leaves them, on every device: packed where the device packs, captured and replayed, saved.
import {
  bytesSink,
  bytesSource,
  createRuntime,
  dequantize,
  int32,
  linear,
  linearAdd,
  linearExperts,
  linears,
  matmul,
  mul,
  packWeight,
  reshape,
  scope,
  stateDict,
  type Tensor,
  tensor,
  Wrapped,
  zeros,
} from '@ao/core';
import { linearGradInput } from '@ao/core/autograd';
import { describe, expect, it } from 'vitest';
import {
  flattenTensorStateDict,
  parseScheme,
  quantization,
  quantize_,
  quantizeTensor,
  readStateDict,
  writeStateDict,
} from '../src/index.ts';
import { backends, devices, native, nativeMissing } from './devices.ts';
import { Model, matrix, wave } from './model.ts';

const schemes = [
  'int8wo',
  'int8wo-32',
  'int8wo-tensor',
  'int8wo:int8-token',
  'int8dq',
  'int8dq-asym',
  'int8dq-act_tensor',
  'int8dq-reduce_range',
  'int8dq-asym-tensor-reduce_range',
  'int8dq-exact_row',
  'int4wo-32',
  'int4wo-hqq-32',
  'int4wo-32:int8-group',
  'intx4-sym-32',
  'intx4-asym-32',
  'intx6-sym',
  '8da4w-32',
  '8da8w-axis',
];

it('the native device is tested where it is there', () => {
  if (nativeMissing !== '') console.warn(`not tested on ${native}: ${nativeMissing}`);
  expect(devices[0]?.device).toBe('reference');
});

describe.each(devices)('on $device', ({ rt, device }) => {
  const ids = () => tensor(rt, [[1, 5, 39]], { dtype: int32 });

  it.each(schemes)('%s: a replay equals the eager run bit for bit', async (scheme) => {
    const model = new Model(rt);
    await quantize_(model, parseScheme(scheme));
    expect(model.layers[0]?.up_proj.weight.packed !== null).toBe(device !== 'reference');
    const x = ids();
    const eager = scope(() => model.call(x));
    const plan = rt.capture((input) => model.call(input), x);
    const [first] = plan.replay(x);
    expect(Array.from(await first!.bits())).toEqual(Array.from(await eager.bits()));
    const other = tensor(rt, [[7, 0, 2]], { dtype: int32 });
    const [second] = plan.replay(other);
    const again = await second!.bits();
    expect(Array.from(again)).toEqual(Array.from(await scope(() => model.call(other)).bits()));
    plan.dispose();
    model.dispose();
  });

  it.each(schemes)('%s: the model is written as its plain weights are', async (scheme) => {
    const model = new Model(rt);
    const plain = new Map(
      [...stateDict(model)].map(([name, t]) => [name, t.ndim === 2 ? quantizeTensor(t, parseScheme(scheme)) : t]),
    );
    const bytes = async (dict: ReadonlyMap<string, Tensor>): Promise<Uint8Array> => {
      const sink = bytesSink();
      await writeStateDict(dict, sink);
      return sink.bytes();
    };
    const want = await bytes(plain);
    await quantize_(model, parseScheme(scheme));
    const got = await bytes(stateDict(model));
    expect(got.byteLength).toBe(want.byteLength);
    expect(Buffer.compare(got, want)).toBe(0);
    const back = await readStateDict(rt, bytesSource(got), { device });
    expect(flattenTensorStateDict(back).metadata).toEqual(flattenTensorStateDict(plain).metadata);
    for (const [name, t] of back)
      expect(Array.from(await t.data()), name).toEqual(Array.from(await plain.get(name)!.data()));
  });

  it('weights that scale their input run packed, alone, fused and as experts', async () => {
    for (const scheme of ['int8wo', 'int8dq', 'int4wo-32', 'int4wo-32:int8-group']) {
      const log: string[] = [];
      const own = await createRuntime({
        use: [quantization(), ...backends(device)],
        device,
        log: (m) => log.push(m.code),
      });
      const scale = (seed: number): Tensor =>
        tensor(
          own,
          wave(64, seed).map((v) => v + 1),
        );
      const make = (seed: number): Wrapped => {
        const q = quantizeTensor(matrix(own, 24, 64, seed), parseScheme(scheme)) as Wrapped;
        return new Wrapped(own, q.kind, { ...q.parts, act_pre_scale: scale(seed) }, q.attrs, q.shape, q.dtype);
      };
      const x = tensor(own, wave(3 * 64, 2), { shape: [3, 64] });
      const index = tensor(own, [[1], [0], [1]], { dtype: int32 });
      const [plain, packed] = [
        [make(1), make(2)],
        [make(1), make(2)],
      ];
      for (const w of packed) expect(packWeight(own, w)).toBe(device !== 'reference');
      const outputs = ([a, b]: Wrapped[]): Tensor[] => [
        linear(x, a!),
        linearAdd(x, a!, undefined, zeros(own, [3, 24])),
        ...linears(x, [a!, b!]),
        linearExperts(reshape(x, [3, 1, 64]), [a!, b!], index),
      ];
      const want = await Promise.all(outputs(plain).map((t) => t.data()));
      const got = await Promise.all(outputs(packed).map((t) => t.data()));
      for (const [i, y] of got.entries()) {
        const error = Math.hypot(...Array.from(y, (v, j) => Number(v) - Number(want[i]![j])));
        expect(error / Math.hypot(...Array.from(want[i]!, Number)), `${scheme} ${i}`).toBeLessThan(1e-5);
      }
      const unscaled = await linear(x, quantizeTensor(matrix(own, 24, 64, 1), parseScheme(scheme))).data();
      expect(Math.abs(Number(unscaled[0]) - Number(got[0]![0]))).toBeGreaterThan(1e-3);
      expect(log).not.toContain('unpacked');
      const g = tensor(own, wave(3 * 24, 4), { shape: [3, 24] });
      const slope = await matmul(g, mul(dequantize(plain[0]!), plain[0]!.parts['act_pre_scale']!)).data();
      for (const [w] of [plain, packed]) {
        const found = await linearGradInput(g, w!).data();
        for (const [i, v] of found.entries()) expect(Number(v)).toBeCloseTo(Number(slope[i]), 5);
      }
      const parts = async (t: Wrapped) =>
        new Map(await Promise.all(Object.entries(t.parts).map(async ([n, p]) => [n, await p.bits()] as const)));
      expect(await parts(packed[0]!)).toEqual(await parts(plain[0]!));
      await own.close();
    }
  });

  it('rows, batches and single calls of one weight agree bit for bit', async () => {
    for (const scheme of schemes) {
      if (/dq.*(tensor|exact_row)/.test(scheme)) continue; // what a row becomes depends on the others
      const w = quantizeTensor(matrix(rt, 24, 64, 1), parseScheme(scheme));
      const x = tensor(rt, wave(5 * 64, 2), { shape: [5, 64] });
      const all = Array.from(await linear(x, w).bits());
      const one = tensor(rt, wave(5 * 64, 2).slice(3 * 64, 4 * 64), { shape: [1, 64] });
      expect(Array.from(await linear(one, w).bits()), scheme).toEqual(all.slice(3 * 24, 4 * 24));
    }
  });
});
