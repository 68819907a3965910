// The devices that tests of numbers run on, with what they need of a runtime.
import { type Dense, dtypeByName, fromBits, keep, type Runtime, tensor } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { qat } from '@ao/qat';
import { quantization } from '@ao/quantization';
import { type GoldenCase, goldenInputs, openDevices } from '@ao/testing';
import { sparsity } from '../src/index.ts';

export const { devices, native } = await openDevices(
  'sparsity',
  () => [autograd(), quantization(), sparsity(), qat()],
  { cpu, cuda },
);

/** The inputs of a golden case on the runtime's device. */
export async function inputs(rt: Runtime, c: GoldenCase): Promise<Record<string, Dense>> {
  const found = Object.entries(await goldenInputs(c));
  return Object.fromEntries(
    found.map(([role, t]) => [role, keep(fromBits(rt, t.bits, t.shape, dtypeByName(t.dtype)))]),
  );
}

/** Numbers without a pattern that sums could cancel. */
export function wave(rt: Runtime, shape: readonly number[], seed = 0): Dense {
  const n = shape.reduce((a, b) => a * b, 1);
  return keep(
    tensor(
      rt,
      Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + seed) * Math.cos(i * 0.31)),
      { shape },
    ),
  );
}
