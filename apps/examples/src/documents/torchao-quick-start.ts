// torchao's quick start: a toy model, quantize_ in place, a quarter of the size, and its speed.
import { bfloat16, cast, createRuntime, Linear, Module, type Runtime, scope, type Tensor, tensor } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { int4WeightOnly, modelBytes, quantization, quantize_ } from '@ao/quantization';

class ToyLinearModel extends Module {
  linear1: Linear;
  linear2: Linear;

  constructor(rt: Runtime, m: number, n: number, k: number) {
    super();
    const weight = (out: number, from: number): Tensor => {
      const values = Float32Array.from({ length: out * from }, (_, i) => Math.sin(i * i) / Math.sqrt(from));
      return cast(tensor(rt, values, { shape: [out, from] }), bfloat16);
    };
    this.linear1 = new Linear(weight(n, m));
    this.linear2 = new Linear(weight(k, n));
  }

  forward = (x: Tensor): Tensor => this.linear2.call(this.linear1.call(x));
}

const rt = await createRuntime({ use: [cpu(), quantization()] });
const model = new ToyLinearModel(rt, 1024, 1024, 1024);
const modelBf16 = new ToyLinearModel(rt, 1024, 1024, 1024);
await quantize_(model, int4WeightOnly({ groupSize: 32 }));

const megabytes = (m: Module): number => modelBytes(m) / 1024 / 1024;
console.log(`int4 model size: ${megabytes(model).toFixed(2)} MB`);
console.log(`bfloat16 model size: ${megabytes(modelBf16).toFixed(2)} MB`);
if (megabytes(model) > megabytes(modelBf16) / 3) throw new Error('int4 should be less than a third as large');

const x = cast(tensor(rt, new Float32Array(1024).fill(0.5), { shape: [1, 1024] }), bfloat16);
async function meanTime(m: Module & { call(x: Tensor): Tensor }, runs = 100): Promise<number> {
  const run = async (): Promise<Float32Array> => (await scope(() => m.call(x)).data()) as Float32Array;
  await run();
  const start = performance.now();
  for (let i = 0; i < runs; i++) await run();
  return (performance.now() - start) / runs;
}
const bf16 = await meanTime(modelBf16);
const int4 = await meanTime(model);
console.log(`bf16 ${bf16.toFixed(3)} ms, int4 ${int4.toFixed(3)} ms, speedup ${(bf16 / int4).toFixed(1)}x`);
await rt.close();
