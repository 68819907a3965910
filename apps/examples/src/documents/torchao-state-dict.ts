// torchao's safetensors: a quantized state dict as a file that torchao reads, and back, bit for bit.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime, dequantize, Linear, stateDict, tensor } from '@ao/core';
import { createFile, openFile } from '@ao/hf-integration';
import {
  int8DynamicActivationInt8Weight,
  quantization,
  quantize_,
  readStateDict,
  writeStateDict,
} from '@ao/quantization';

const rt = await createRuntime({ use: [quantization()] });
const values = Float32Array.from({ length: 64 * 32 }, (_, i) => Math.cos(i));
const layer = new Linear(tensor(rt, values, { shape: [64, 32] }));
await quantize_(layer, int8DynamicActivationInt8Weight());

const scratch = await mkdtemp(join(tmpdir(), 'ao-example-'));
const path = join(scratch, 'model.safetensors');
await writeStateDict(stateDict(layer), await createFile(path));
const file = await openFile(path);
const loaded = await readStateDict(rt, file);
await file.close();

for (const [name, weight] of stateDict(layer)) {
  const again = loaded.get(name)!;
  const [a, b] = [await dequantize(weight).data(), await dequantize(again).data()];
  console.log(name, again.kind?.name, again.shape.join(' x '));
  if (!a.every((v, i) => v === b[i])) throw new Error(`${name} changed on its way through the file`);
}
await rm(scratch, { recursive: true });
await rt.close();
