// The devices that tests of numbers run on: the reference backend, and a native one where it is there: the cpu, or the one that AO_TEST_DEVICE
// names, AO_TEST_DEVICE=cuda with AO_CUDA=<the emulator's addon> or on a GPU.
import { createRuntime, type Extension, isAoError, type Runtime } from '@ao/core';

export interface TestDevice {
  readonly device: string;
  readonly rt: Runtime;
}

export interface TestDevices {
  readonly devices: readonly TestDevice[];
  /** The native device that is tested where it is there, 'cpu' unless AO_TEST_DEVICE says otherwise. */
  readonly native: string;
  /** Why the native device is not among them, or ''. */
  readonly nativeMissing: string;
  /** The extensions of a device. */
  backends(device: string): Extension[];
}

/**
 * A runtime of each device with the extensions of `use`; says on the console, after `name`, why the native one is not among them. Throws
 * where AO_TEST_DEVICE asks for one that does not open.
 */
export async function openDevices(
  name: string,
  use: () => readonly Extension[],
  natives: Readonly<Record<string, () => Extension>>,
): Promise<TestDevices> {
  const asked = process.env['AO_TEST_DEVICE'];
  const native = asked ?? 'cpu';
  const make = natives[native];
  if (make === undefined)
    throw new Error(`AO_TEST_DEVICE is ${native}; ${name} knows ${Object.keys(natives).join(', ')}`);
  const backends = (device: string): Extension[] => (device === 'reference' ? [] : [natives[device]!()]);
  const reference = { device: 'reference', rt: await createRuntime({ use: use(), device: 'reference' }) };
  try {
    const rt = await createRuntime({ use: [...use(), make()] });
    return { devices: [reference, { device: native, rt }], native, nativeMissing: '', backends };
  } catch (error) {
    if (!isAoError(error) || asked !== undefined) throw error;
    console.warn(`${name}: ${native} is not tested: ${error.message}`);
    return { devices: [reference], native, nativeMissing: error.message, backends };
  }
}
