// The devices that tests of numbers run on: the reference backend, and the cpu where its native part is built.
import { createRuntime, type Extension, isAoError, type Runtime } from '@ao/core';

export interface TestDevice {
  readonly device: string;
  readonly rt: Runtime;
}

export interface TestDevices {
  readonly devices: readonly TestDevice[];
  /** Why the cpu is not among them, or ''. */
  readonly cpuMissing: string;
}

/** A runtime of each device with the extensions of `use`; says on the console, after `name`, why the cpu is not among them. */
export async function openDevices(
  name: string,
  use: () => readonly Extension[],
  cpu: () => Extension,
): Promise<TestDevices> {
  const reference = { device: 'reference', rt: await createRuntime({ use: use(), device: 'reference' }) };
  try {
    const native = { device: 'cpu', rt: await createRuntime({ use: [...use(), cpu()] }) };
    return { devices: [reference, native], cpuMissing: '' };
  } catch (error) {
    if (!isAoError(error)) throw error;
    console.warn(`${name}: the cpu is not tested: ${error.message}`);
    return { devices: [reference], cpuMissing: error.message };
  }
}
