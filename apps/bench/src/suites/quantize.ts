// quantize_ of eight bfloat16 weights [2048, 2048] that lie in memory: codes, scales and packing, in bytes of input a second.
import {
  bfloat16,
  cast,
  clone,
  createRuntime,
  Linear,
  Module,
  type Runtime,
  scope,
  type Tensor,
  tensor,
} from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { type AoConfig, int4WeightOnly, int8WeightOnly, quantization, quantize_ } from '@ao/quantization';
import { median } from '../statistics.ts';
import type { Measurement, Suite } from '../suite.ts';

const [COUNT, SIZE] = [8, 2048];

class Layers extends Module {
  layers: Linear[];

  constructor(weight: Tensor) {
    super();
    this.layers = Array.from({ length: COUNT }, () => new Linear(clone(weight)));
    this.named();
  }

  forward = (x: Tensor): Tensor => this.layers.reduce((y, layer) => layer.call(y), x);
}

interface Case {
  readonly row: Measurement;
  readonly config: AoConfig;
}

const row = (id: string, what: string, least: number): Measurement => ({
  id,
  what: `quantize_ ${COUNT} bf16 weights [${SIZE}, ${SIZE}] to ${what}, packed`,
  unit: 'GB/s',
  target: { kind: 'at least', value: least },
});

const cases = (): readonly Case[] => [
  { row: row('quantize-int4', 'int4 g32', 1.5), config: int4WeightOnly({ groupSize: 32 }) },
  { row: row('quantize-int8', 'int8', 3), config: int8WeightOnly() },
];

function weights(): Float32Array {
  const values = new Float32Array(SIZE * SIZE);
  for (let i = 0; i < values.length; i++) values[i] = Math.sin(i * 0.7) * 0.02;
  return values;
}

async function rate(rt: Runtime, config: AoConfig, repeats: number): Promise<number[]> {
  const backend = rt.backend('cpu');
  const source = scope(() => cast(tensor(rt, weights(), { shape: [SIZE, SIZE] }), bfloat16));
  const runs: number[] = [];
  for (let round = 0; round <= repeats; round++) {
    const model = new Layers(source);
    await backend.sync();
    const start = performance.now();
    await quantize_(model, config, { sqnr: false });
    await backend.sync();
    if (round > 0) runs.push((COUNT * 2 * SIZE * SIZE) / (performance.now() - start) / 1e6);
    model.dispose();
  }
  source.dispose();
  return runs;
}

export const suite: Suite = {
  name: 'quantize',
  rows: cases().map(({ row: { id } }) => id),
  async *run({ threads, repeats, wants }) {
    const rt = await createRuntime({ use: [cpu({ threads }), quantization()] });
    try {
      for (const { row, config } of cases()) {
        if (!wants(row.id)) continue;
        const ours = await rate(rt, config, repeats);
        yield { ...row, ours: median(ours), runs: { ours } };
      }
    } finally {
      await rt.close();
    }
  },
};
