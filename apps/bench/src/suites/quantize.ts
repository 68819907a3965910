// quantize_ of one bfloat16 weight [4096, 4096] that lies in memory: codes, scales and packing, in bytes of input a second.
import { bfloat16, cast, clone, createRuntime, Linear, type Runtime, scope, tensor } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { type AoConfig, int4WeightOnly, int8WeightOnly, quantization, quantize_ } from '@ao/quantization';
import { median } from '../statistics.ts';
import type { Measurement, Suite } from '../suite.ts';

const SIZE = 4096;

interface Case {
  readonly row: Measurement;
  readonly config: AoConfig;
}

const row = (id: string, what: string, least: number): Measurement => ({
  id,
  what: `quantize_ bf16 [${SIZE}, ${SIZE}] to ${what}, packed`,
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
    const layer = new Linear(clone(source));
    await backend.sync();
    const start = performance.now();
    await quantize_(layer, config, { sqnr: false });
    await backend.sync();
    if (round > 0) runs.push((2 * SIZE * SIZE) / (performance.now() - start) / 1e6);
    layer.dispose();
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
