// What the cpu and cuda quantize is the same, byte by byte, for every scheme: here on the emulator of the GPU, by `pnpm gpu` on one.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRuntime } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { quantization } from '@ao/quantization';
import { sparsity } from '@ao/sparsity';
import { expect, it } from 'vitest';
import { quantizedBytes } from '../src/quantized-bytes.ts';

const emulated = fileURLToPath(
  new URL('../../../packages/kernels-cuda/build-emulated/Release/ao_cuda.node', import.meta.url),
);

if (!existsSync(emulated)) it.skip('the emulator is not built: pnpm --filter @ao/kernels-cuda build:emulated');
else
  it('cpu and cuda quantize to the same bytes', async () => {
    process.env['AO_CUDA'] = emulated;
    await using rt = await createRuntime({ use: [cuda(), cpu(), quantization(), sparsity()] });
    const { compared, differences } = await quantizedBytes(rt, ['cpu', 'cuda'], [16, 256]);
    expect(differences).toEqual([]);
    expect(compared).toBeGreaterThan(180);
  });
