// A small network of one's own: modules, quantize_, its report, and how far the output moved.

import { createRuntime, Linear, Module, type Runtime, relu, scope, type Tensor, tensor } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { computeError, formatReport, int8WeightOnly, quantization, quantize_ } from '@ao/quantization';

class Mlp extends Module {
  up: Linear;
  down: Linear;

  constructor(rt: Runtime, features: number, hidden: number) {
    super();
    const weight = (out: number, from: number): Tensor =>
      tensor(
        rt,
        Float32Array.from({ length: out * from }, (_, i) => Math.sin(i * i) / Math.sqrt(from)),
        { shape: [out, from] },
      );
    this.up = new Linear(weight(hidden, features));
    this.down = new Linear(weight(features, hidden));
  }

  forward = (x: Tensor): Tensor => this.down.call(relu(this.up.call(x)));
}

const runtime = await createRuntime({ use: [quantization(), cpu()] });
const model = new Mlp(runtime, 128, 512);
const x = tensor(
  runtime,
  Float32Array.from({ length: 4 * 128 }, (_, i) => Math.cos(i)),
  { shape: [4, 128] },
);

const before = scope(() => model.call(x));
const report = await quantize_(model, int8WeightOnly());
const after = scope(() => model.call(x));

console.log(formatReport(report));
const decibels = await computeError(before, after);
console.log(`output SQNR ${decibels.toFixed(1)} dB`);
if (!(decibels > 35)) throw new Error('int8 weights should keep 35 dB');
await runtime.close();
