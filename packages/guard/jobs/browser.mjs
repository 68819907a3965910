// An application for browsers and hosts of every kind: core and quantization on the reference backend, nothing of Node's. A linear
// layer [64, 128] goes to int4 by groups of 32 and to int8; returned are its outputs for one row, float32 bit by bit.
import { createRuntime, Linear, tensor } from '@ao/core';
import { int4, int4WeightOnly, int8, int8WeightOnly, quantize_ } from '@ao/quantization';

const values = (n, step) => Float32Array.from({ length: n }, (_, i) => (((i * step) % 1009) - 504) / 512);

export async function numbers() {
  const rt = await createRuntime({ use: [int4(), int8()] });
  const x = tensor(rt, values(128, 61), { shape: [1, 128] });
  const results = { device: rt.device };
  for (const [name, config] of Object.entries({
    float: undefined,
    int4: int4WeightOnly({ groupSize: 32 }),
    int8: int8WeightOnly(),
  })) {
    const layer = new Linear(tensor(rt, values(64 * 128, 37), { shape: [64, 128] }));
    if (config) {
      const { rows } = await quantize_(layer, config);
      results[`${name} scheme`] = rows[0].scheme;
    }
    results[name] = [...new Uint32Array((await layer.call(x).data()).buffer)];
  }
  await rt.close();
  return results;
}
