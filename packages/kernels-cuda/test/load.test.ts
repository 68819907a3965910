// Without a GPU: what is said and what would help. The compiled addon where nvcc built it, else the emulator's.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRuntime } from '@ao/core';
import { afterEach, describe, expect, it } from 'vitest';
import { report } from '../src/addon.ts';
import { cuda } from '../src/index.ts';
import { emulated } from './places.ts';

const compiled = fileURLToPath(new URL('../build/Release/ao_cuda.node', import.meta.url));
const before = { ...process.env };
afterEach(() => {
  process.env = { ...before };
});

it('says how to build the addon where it is not there', async () => {
  process.env['AO_CUDA'] = '/nowhere/ao_cuda.node';
  await expect(createRuntime({ use: [cuda()] })).rejects.toThrow(/ao_cuda.node is not there.*AO_CUDA names it/s);
  process.env['AO_CUDA'] = '0';
  await expect(createRuntime({ use: [cuda()] })).rejects.toThrow('AO_CUDA=0 asks for no native code, so cuda() cannot');
});

describe.skipIf(!existsSync(emulated))('the emulated addon', () => {
  it('opens, and names its driver and GPU', () => {
    process.env['AO_CUDA'] = emulated;
    const { reason, driver, runtime, driverFloor, devices } = report();
    expect({ reason, driver, runtime, driverFloor }).toEqual({
      reason: '',
      driver: '13.0',
      runtime: '13.0',
      driverFloor: 580,
    });
    expect(devices).toMatchObject([{ name: 'emulated GPU', capability: '8.0' }]);
  });

  it('names the driver that is needed where there is none', () => {
    const script =
      "import { cuda } from '@ao/kernels-cuda'; await cuda().open({}).catch((e) => console.log(e.code, e.message));";
    const said = execFileSync(process.execPath, ['--conditions=@ao/source', '--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env: { ...process.env, AO_CUDA: emulated, AO_EMULATED_GPUS: '0' },
      encoding: 'utf8',
    });
    expect(said).toMatch(/^ERR_AO_DEVICE cuda\(\) cannot open: no NVIDIA driver.*install driver 580 or newer/);
  });
});

if (!existsSync(compiled))
  it.skip('the compiled addon is not built: pnpm --filter @ao/kernels-cuda build:cuda needs nvcc');
else
  it('the compiled addon opens anywhere, and without a GPU says why', () => {
    const { reason, runtime, devices } = report();
    expect(runtime).toMatch(/^1[23]\./);
    if (reason !== '') expect(reason).toMatch(/driver|GPU|CUDA/);
    else expect(devices.length).toBeGreaterThan(0);
  });
