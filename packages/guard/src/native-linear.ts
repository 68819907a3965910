// One linear of every form of weight and activation on the addon, against the reference backend: what is run on a machine of
// another architecture, or its emulator. AO_NATIVE names the addon, AO_ISA the instruction set.
//   node --conditions=@ao/source packages/guard/src/native-linear.ts
import { createRuntime, Linear, tensor } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import {
  int4WeightOnly,
  int8DynamicActivationInt8Weight,
  int8DynamicActivationIntxWeight,
  int8WeightOnly,
  quantization,
  quantize_,
} from '@ao/quantization';

const schemes = {
  float32: null,
  int8: int8WeightOnly(),
  int4: int4WeightOnly({ groupSize: 32 }),
  '8da8w': int8DynamicActivationInt8Weight(),
  '8da4w': int8DynamicActivationIntxWeight({ weightDtype: 'int4' }),
};
type Scheme = (typeof schemes)[keyof typeof schemes];

const [features, outputs] = [256, 80];
const wave = (n: number, step: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(step * i * i) / 4);

/** The layer's outputs for `tokens` rows, and the instruction set that computed them. */
async function run(device: string, scheme: Scheme, tokens: number): Promise<[Float32Array, unknown]> {
  const rt = await createRuntime({ use: [quantization(), cpu()], device });
  const layer = new Linear(tensor(rt, wave(outputs * features, 1), { shape: [outputs, features] }));
  if (scheme !== null) await quantize_(layer, scheme);
  const y = layer.call(tensor(rt, wave(tokens * features, 3), { shape: [tokens, features] }));
  const values = (await y.data()) as Float32Array;
  const { isa } = rt.backend(device).info();
  await rt.close();
  return [values, isa];
}

let failed = 0;
let passed = 0;
for (const [name, scheme] of Object.entries(schemes)) {
  for (const tokens of [1, 9]) {
    const [expected] = await run('reference', scheme, tokens);
    const [values, isa] = await run('cpu', scheme, tokens);
    const wanted = process.env['AO_ISA'];
    const norm = (v: Float32Array): number => Math.hypot(...v);
    const apart = norm(values.map((v, i) => v - (expected[i] as number))) / norm(expected);
    const good = apart < 1e-5 && values.length === expected.length && (!wanted || isa === wanted);
    console.log(`${good ? 'ok  ' : 'FAIL'} ${isa}: ${name}, ${tokens} rows: ${apart.toExponential(1)} apart`);
    if (good) passed += 1;
    else failed += 1;
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
