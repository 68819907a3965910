// Weights of experts in one 3-D tensor [E, N, K]: the codes, scales and files of torchao, one expert taken out, quantize_ by name.
import { readFileSync } from 'node:fs';
import {
  bytesSink,
  bytesSource,
  createRuntime,
  type Dense,
  dequantize,
  int32,
  keep,
  linear,
  linearExperts,
  Module,
  openSafetensors,
  packWeight,
  type Runtime,
  scope,
  select,
  type Tensor,
  tensor,
  to,
  type Wrapped,
} from '@ao/core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  float8WeightOnly,
  fqnToConfig,
  int4WeightOnly,
  int8WeightOnly,
  intxWeightOnly,
  mxWeightOnly,
  parseScheme,
  perBlock,
  quantization,
  quantize_,
  quantizeTensor,
  readStateDict,
  writeStateDict,
} from '../src/index.ts';
import { devices } from './devices.ts';
import { wave } from './model.ts';

const fixture = new Uint8Array(readFileSync(new URL('golden/stacks.safetensors', import.meta.url)));
const schemes = ['int8wo', 'int8wo-tensor', 'int8wo-32', 'int4wo-32', 'float8wo', 'float8wo-tensor', 'float8wo-32'];
const nameOf = (scheme: string): string => `experts.${scheme}.gate_up_proj`;

let rt: Runtime;
let golden: ReadonlyMap<string, Tensor>;
beforeAll(async () => {
  rt = await createRuntime({ use: [quantization()] });
  golden = await readStateDict(rt, bytesSource(fixture));
});
const weight = (): Dense => golden.get('weight') as Dense;

async function partsOf(t: Tensor): Promise<Record<string, ArrayLike<number>>> {
  const parts = Object.entries((t as Wrapped).parts);
  return Object.fromEntries(await Promise.all(parts.map(async ([name, p]) => [name, await p.bits()] as const)));
}

it.each(schemes)('%s has the codes and scales of torchao, and its file byte for byte', async (scheme) => {
  const name = nameOf(scheme);
  const made = quantizeTensor(weight(), parseScheme(scheme));
  expect(made.shape).toEqual([3, 8, 64]);
  expect(await partsOf(made)).toEqual(await partsOf(golden.get(name)!));
  const sink = bytesSink();
  await writeStateDict(new Map([[name, made]]), sink, { form: 'torchao' });
  const [ours, theirs] = [
    await openSafetensors(bytesSource(sink.bytes())),
    await openSafetensors(bytesSource(fixture)),
  ];
  expect(ours.metadata[name]).toBe(theirs.metadata[name]);
  for (const key of ours.names) expect(await ours.read(key)).toEqual(await theirs.read(key));
});

// torchao has no stacks of these; one scale for the whole stack is another thing than one for each expert
const alone = ['int8dq', 'int8dq-asym', 'intx3-asym-32', 'intx4-32', '8da4w-32', 'float8dq-row', 'int4wo-tinygemm-32'];
it.each([...alone, 'int8wo', 'int4wo-32', 'float8wo-32'])(
  '%s: an expert of a stack is the expert quantized alone',
  async (scheme) => {
    const config = parseScheme(scheme);
    const stack = quantizeTensor(weight(), config);
    for (const e of [0, 2]) {
      const one = quantizeTensor(select(weight(), 0, e), config);
      const taken = select(stack, 0, e) as Wrapped;
      expect(taken.shape).toEqual([8, 64]);
      expect(taken.attrs).toEqual((one as Wrapped).attrs);
      expect(await partsOf(taken)).toEqual(await partsOf(one));
    }
    expect(await dequantize(select(stack, 0, 1)).bits()).toEqual(await select(dequantize(stack), 0, 1).bits());
  },
);

describe.each(devices)('$device', ({ rt, device }) => {
  it.each([...schemes, 'intx3-asym-32'])(
    '%s: linearExperts runs on the experts of a stack, packed and not',
    async (scheme) => {
      const stack = await to(quantizeTensor(weight(), parseScheme(scheme)), device, rt);
      const experts = [0, 1, 2].map((e) => keep(select(stack, 0, e)));
      const x = tensor(rt, wave(2 * 64, 7), { shape: [2, 1, 64], dtype: stack.dtype });
      const index = tensor(
        rt,
        [
          [2, 0],
          [1, 2],
        ],
        { dtype: int32 },
      );
      const want = await scope(() =>
        linearExperts(
          x,
          experts.map((w) => dequantize(w)),
          index,
        ),
      ).data();
      const norm = Math.hypot(...(want as Float32Array));
      for (const packed of [false, true]) {
        if (packed) for (const w of experts) packWeight(rt, w);
        const y = (await scope(() => linearExperts(x, experts, index)).data()) as Float32Array;
        expect(Math.hypot(...y.map((v, i) => v - (want[i] as number))) / norm).toBeLessThan(2 ** -7);
      }
    },
  );
});

class Experts extends Module {
  gate_up_proj: Tensor;
  constructor(w: Tensor) {
    super();
    this.gate_up_proj = w;
  }
  override packableNames(): readonly string[] {
    return ['gate_up_proj'];
  }
  forward = (x: Tensor, expert: number): Tensor => linear(x, select(this.gate_up_proj, 0, expert));
}

it('quantize_ takes a stack by the name of its parameter, reports it, and it is saved and loaded', async () => {
  for (const config of [int8WeightOnly(), int4WeightOnly({ groupSize: 32 }), intxWeightOnly({ weightDtype: 'int3' })]) {
    const model = new Experts(keep(tensor(rt, await weight().data(), { shape: [3, 8, 64] })));
    const { rows } = await quantize_(model, fqnToConfig([['gate_up_proj', config]]));
    const [row] = rows;
    expect(row).toMatchObject({ fqn: 'gate_up_proj', shape: [3, 8, 64], rule: 'gate_up_proj' });
    expect(row!.sqnr).toBeGreaterThan(10);
    const dry = await quantize_(new Experts(weight()), fqnToConfig([['gate_up_proj', config]]), { dryRun: true });
    expect(dry.rows[0]!.bitsPerWeight).toBeLessThan(9);
    const sink = bytesSink();
    await writeStateDict(new Map(model.namedParameters()), sink);
    const loaded = (await readStateDict(rt, bytesSource(sink.bytes()))).get('gate_up_proj')!;
    expect(await dequantize(loaded).data()).toEqual(await dequantize(model.gate_up_proj).data());
    const x = tensor(rt, wave(64, 1), { shape: [1, 64] });
    const want = await linear(x, dequantize(select(loaded, 0, 2))).data();
    expect(Math.abs(((await model.forward(x, 2).data())[0] as number) - (want[0] as number))).toBeLessThan(1e-4);
  }
});

it('what cannot be a stack is an error before any work', () => {
  const refused = (config: Parameters<typeof quantizeTensor>[1]): string => {
    try {
      quantizeTensor(weight(), config);
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was thrown';
  };
  expect(refused(mxWeightOnly())).toContain('the weight [3,8,64] is no matrix');
  expect(refused(float8WeightOnly({ granularity: perBlock([4, 4]) }))).toContain('rectangles are blocks of one matrix');
  expect(refused(int4WeightOnly({ int4PackingFormat: 'tile_packed_to_4d' }))).toContain('tiles hold one matrix');
  const stack = quantizeTensor(weight(), int8WeightOnly());
  expect(() => select(stack, 2, 0)).toThrow(/cannot be \[3,8\]/);
});
