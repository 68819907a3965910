// What every rank of a test begins with, and how it tells the test what it saw: one line of JSON.
import { createRuntime, type Extension, type Runtime } from '@ao/core';
import { autograd } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { distributed, initProcessGroup, launchEnvironment, type ProcessGroup } from '../../src/index.ts';

export async function rank(use: readonly Extension[] = []): Promise<{ rt: Runtime; group: ProcessGroup }> {
  const device = process.env['AO_TEST_DEVICE'] ?? 'cpu';
  const native =
    device === 'cuda'
      ? (await import('@ao/kernels-cuda')).cuda({ device: launchEnvironment().localRank })
      : cpu({ threads: 1 });
  const rt = await createRuntime({ use: [autograd(), native, distributed(), ...use] });
  return { rt, group: await initProcessGroup(rt, { timeout: 20 }) };
}

export const tell = (result: unknown): void => void process.stdout.write(`${JSON.stringify(result)}\n`);
