// The same on GPUs: several ranks where the machine has several, one rank on the emulator of the kernels. What is not there is a reason that prints.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { add, clone, createRuntime, tensor } from '@ao/core';
import { cuda, report } from '@ao/kernels-cuda';
import { describe, expect, it } from 'vitest';
import {
  allGather,
  allReduce_,
  distributed,
  initProcessGroup,
  launchEnvironment,
  reduceScatter,
} from '../src/index.ts';
import { launched } from './launched.ts';

const emulated = fileURLToPath(new URL('../../kernels-cuda/build-emulated/Release/ao_cuda.node', import.meta.url));

function why(): string {
  try {
    const { reason, devices } = report();
    return reason !== ''
      ? reason
      : devices.length < 2
        ? `several ranks need several GPUs; this machine has ${devices.length}`
        : '';
  } catch (error) {
    return (error as Error).message;
  }
}

const reason = why();
if (reason !== '') console.log(`skipped, several ranks on cuda: ${reason}`);
if (!existsSync(emulated)) console.log('skipped, a rank on the emulator: it is not built');

describe.skipIf(reason !== '')('two GPUs', () => {
  const device = { AO_TEST_DEVICE: 'cuda' };

  it('have every collective, eager and replayed', async () => {
    const { code, told, text } = await launched<Record<string, unknown>>('collectives', 2, device);
    expect(code, text).toBe(0);
    for (const t of told) {
      expect(t['replayed']).toEqual([true, true, true, true]);
      expect(t['gather']).toEqual([0, 1, 10, 11]);
      expect(t['sum bfloat16 10001']).toEqual(told[0]!['sum bfloat16 10001']);
    }
  });

  it('train as one does', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ao-shards-'));
    const { code, told, text } = await launched<Record<string, number[]>>('training', 2, {
      ...device,
      AO_TEST_FOLDER: folder,
    });
    await rm(folder, { recursive: true });
    expect(code, text).toBe(0);
    const [t] = told;
    for (const [many, one, most] of [
      ['float32 sharded', 'float32 one', 1e-5],
      ['bfloat16 sharded', 'bfloat16 one', 1e-3],
      ['bfloat16 replicated', 'bfloat16 one', 1e-3],
      ['float8 sharded', 'float8 one', 5e-3],
      ['nf4 sharded', 'nf4 one', 1e-4],
    ] as const)
      t![many]!.forEach((v, i) => expect(Math.abs(v / t![one]![i]! - 1), `${many} ${i}`).toBeLessThan(most));
  });

  it('decode tensor parallel models', async () => {
    const { code, told, text } = await launched<Record<string, { decibel: number }>>('parallel', 2, device);
    expect(code, text).toBe(0);
    for (const name of ['float32', 'int8', 'int4', 'float8']) expect(told[0]![name]!.decibel, name).toBeGreaterThan(50);
  });
});

it.skipIf(!existsSync(emulated))('one rank on the emulator: collectives are copies, eager and replayed', async () => {
  const before = process.env['AO_CUDA'];
  process.env['AO_CUDA'] = emulated;
  try {
    const rt = await createRuntime({ use: [cuda(), distributed()] });
    const group = await initProcessGroup(rt, { environment: launchEnvironment({}) });
    const x = tensor(rt, [1, 2, 3]);
    const plan = rt.capture(
      (t) => add(reduceScatter(allGather(allReduce_(clone(t!), group, 'avg'), group), group), 1),
      x,
    );
    for (let i = 0; i < 3; i++) expect(await plan.replay(x)[0]!.data()).toEqual(Float32Array.of(2, 3, 4));
    await group.destroy();
    expect(() => allReduce_(x, group)).toThrow(/the process group was destroyed/);
    await rt.close();
    const two = { ...launchEnvironment({}), size: 2 };
    const again = await createRuntime({ use: [cuda(), distributed()] });
    await expect(initProcessGroup(again, { environment: two, timeout: 1 })).rejects.toThrow(
      /not all of 2 ranks came for 1 s/,
    );
    await again.close();
  } finally {
    if (before === undefined) delete process.env['AO_CUDA'];
    else process.env['AO_CUDA'] = before;
  }
});
