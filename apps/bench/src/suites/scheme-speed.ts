// Time of a linear layer of each scheme against bfloat16 at M = 1 (writing one text), 8 (a few texts) and 512 rows (reading), in
// turns within one process. A run goes through copies of the weight that no cache holds together.
import {
  bfloat16,
  cast,
  clone,
  createRuntime,
  keep,
  packWeight,
  type Runtime,
  scope,
  type Tensor,
  tensor,
} from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { quantization, quantizeTensor, race } from '@ao/quantization';
import { SCHEME_ROWS, type SchemeRow } from '../scheme-list.ts';
import type { Measurement, Suite } from '../suite.ts';

const ROWS = [1, 8, 512] as const;
const SIZE = 2048;
const COPIES = 16;

const measured = SCHEME_ROWS.filter((row) => row.sameSpeedAs === undefined);
const idOf = ({ name }: SchemeRow, rows: number): string => `speed-${rows}-${name}`;

function weight(rt: Runtime): Tensor {
  const values = Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i * 0.7) * 0.02);
  return keep(scope(() => cast(tensor(rt, values, { shape: [SIZE, SIZE] }), bfloat16)));
}

/** So many packed tensors of their own memory. */
const copies = (made: Tensor): Tensor[][] =>
  Array.from({ length: COPIES }, () => {
    const copy = keep(clone(made));
    packWeight(copy.rt, copy);
    return [copy];
  });

export const suite: Suite = {
  name: 'scheme-speed',
  rows: measured.flatMap((row) => ROWS.map((rows) => idOf(row, rows))),
  async *run({ threads, repeats, wants }) {
    const rt = await createRuntime({ use: [cpu({ threads }), quantization()] });
    const source = weight(rt);
    const plain = copies(source);
    try {
      for (const row of measured) {
        const wanted = ROWS.filter((rows) => wants(idOf(row, rows)));
        if (wanted.length === 0) continue;
        const quantized = keep(quantizeTensor(source, row.config));
        const ours = copies(quantized);
        quantized.dispose();
        const packed = ours.every(([w]) => w?.packed !== null);
        for (const rows of wanted) {
          const [before, after] = (await race(rt, [plain, ours], rows, { rounds: repeats })) as [number, number];
          const measurement: Measurement = {
            id: idOf(row, rows),
            what: `${row.name}, ${rows} rows, [${SIZE}, ${SIZE}]`,
            scheme: row.name,
            unit: 'µs',
            lowerIsBetter: true,
            ours: 1e6 * after,
            peer: { name: 'bfloat16', value: 1e6 * before },
            ...(packed ? {} : { note: 'no packed layout' }),
          };
          yield measurement;
        }
        for (const [w] of ours) w?.dispose();
      }
    } finally {
      await rt.close();
    }
  },
};
