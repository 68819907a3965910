// Without a GPU: what is said and what would help. The compiled addon where nvcc built it, else the emulator's.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRuntime } from '@ao/core';
import { afterEach, describe, expect, it } from 'vitest';
import { libraries, report } from '../src/addon.ts';
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

  const inProcess = (script: string, env: Readonly<Record<string, string>>): string =>
    execFileSync(process.execPath, ['--conditions=@ao/source', '--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env: { ...process.env, AO_CUDA: emulated, ...env },
      encoding: 'utf8',
    });
  const opening =
    "import { cuda } from '@ao/kernels-cuda'; await cuda().open({}).catch((e) => console.log(e.code, e.message));";

  it('names the driver that is needed where there is none', () => {
    expect(inProcess(opening, { AO_EMULATED_GPUS: '0' })).toMatch(
      /^ERR_AO_DEVICE cuda\(\) cannot open: no NVIDIA driver.*install driver 580 or newer/,
    );
  });

  it('says of a driver that is too old what it runs and what is needed, and has a report all the same', () => {
    expect(inProcess(opening, { AO_EMULATED_DRIVER: '12040' })).toMatch(
      /too old: it runs CUDA 12.4, these kernels were built for CUDA 13; install driver 580 or newer/,
    );
    const script = "import { report } from '@ao/kernels-cuda'; console.log(JSON.stringify(report()));";
    expect(JSON.parse(inProcess(script, { AO_EMULATED_DRIVER: '12040' }))).toMatchObject({
      driver: '12.4',
      runtime: '13.0',
      driverFloor: 580,
      devices: [],
    });
  });

  it('says of each library where it is or why it is not taken', () => {
    process.env['AO_CUDA'] = emulated;
    const found = libraries();
    expect(found.map((l) => l.name)).toEqual(['cublasLt', 'cusparseLt', 'cudnn', 'nccl']);
    for (const { file, why } of found) expect(file === '' ? why : file).toMatch(/lib(cublasLt|cusparseLt|cudnn|nccl)/);
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
