// The devices that tests of numbers run on: the reference backend, and the cpu where its native part is built.
import { createRuntime, type Dense, dtypeByName, fromBits, isAoError, keep, type Runtime, tensor } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { qat } from '@ao/qat';
import { quantization } from '@ao/quantization';
import { type GoldenCase, goldenInputs } from '@ao/testing';
import { sparsity } from '../src/index.ts';

export interface TestDevice {
  readonly device: string;
  readonly rt: Runtime;
}

const use = () => [autograd(), quantization(), sparsity(), qat()];

async function open(): Promise<TestDevice[]> {
  const found = [{ device: 'reference', rt: await createRuntime({ use: use(), device: 'reference' }) }];
  try {
    return [...found, { device: 'cpu', rt: await createRuntime({ use: [...use(), cpu()] }) }];
  } catch (error) {
    if (!isAoError(error)) throw error;
    console.warn(`sparsity: the cpu is not tested: ${error.message}`);
    return found;
  }
}

export const devices = await open();

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
