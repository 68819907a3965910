// Files of torch.save: tensors are what Python saved (pickle/make.py), bit for bit; nothing in them is ever run. Tensors of older
// torchao, pickled or in safetensors, become kinds with the values that torchao dequantizes them to.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  bytesSource,
  createRuntime,
  type Dense,
  dequantize,
  dtypeBySafetensors,
  openSafetensors,
  type TensorFile,
} from '@ao/core';
import { quantization } from '@ao/quantization';
import { afterEach, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../src/files/checkpoint.ts';
import { openFile } from '../src/files/node-file.ts';
import { PLAIN, readStored, storedTensors } from '../src/files/stored.ts';
import { addSafeGlobals, clearSafeGlobals, TORCH_DTYPES } from '../src/pickle/safe-globals.ts';
import { openTorchFile } from '../src/pickle/torch-file.ts';

const FIXTURES = join(import.meta.dirname, 'pickle');

interface Digest {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly sha256: string;
}

const expected: Record<string, Record<string, Digest>> = JSON.parse(
  readFileSync(join(FIXTURES, 'expected.json'), 'utf8'),
);
const bytes = (name: string): Uint8Array => new Uint8Array(readFileSync(join(FIXTURES, name)));
const open = async (name: string) => openTorchFile(bytesSource(bytes(name), name));
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

async function digests(file: TensorFile): Promise<Record<string, Digest>> {
  const found: Record<string, Digest> = {};
  for (const name of file.names) {
    const { dtype, shape, begin, end } = file.entry(name);
    const { source, offset } = file.locate(name);
    const data = await file.read(name);
    // backends read a range by themselves
    expect(await source.read(offset, end - begin)).toEqual(data);
    const torch = Object.keys(TORCH_DTYPES).find((key) => TORCH_DTYPES[key] === dtype && expectedDtypes.has(key))!;
    found[name] = { dtype: torch, shape, sha256: sha256(data) };
  }
  return found;
}
const expectedDtypes = new Set(
  Object.values(expected).flatMap((tensors) => Object.values(tensors).map((t) => t.dtype)),
);

afterEach(() => clearSafeGlobals());

test.each(['plain-2.bin', 'plain-3.bin', 'plain-4.bin', 'plain-5.bin', 'nested.pt'])(
  '%s: every tensor',
  async (name) => {
    expect(await digests((await open(name)).file)).toEqual(expected[name]);
  },
);

test('what would run is refused by its name, before a tensor is read', async () => {
  await expect(open('evil.pt')).rejects.toThrow(
    /posix\.system, which is not allowed.*addSafeGlobals\(\['posix\.system'\]\)/s,
  );
  addSafeGlobals(['posix.system']);
  expect(Object.keys(await digests((await open('evil.pt')).file))).toEqual(['w']);
  expect(existsSync('ao-evil')).toBe(false);
});

test('an unknown class is data once it is allowed', async () => {
  await expect(open('namespace.pt')).rejects.toThrow(/argparse\.Namespace, which is not allowed/);
  addSafeGlobals(['argparse.Namespace']);
  expect(await digests((await open('namespace.pt')).file)).toEqual(expected['namespace.pt']);
});

test('a whole module, and the format before 1.6, are told from a state dict', async () => {
  await expect(open('module.pt')).rejects.toThrow(/torch\.nn\.modules\.linear\.Linear, which is not allowed/);
  await expect(open('legacy.pt')).rejects.toThrow(/no zip file.*torch 1\.6/s);
});

test('a folder of shards with an index is one checkpoint', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ao-shards-'));
  copyFileSync(join(FIXTURES, 'nested.pt'), join(folder, 'pytorch_model-00001-of-00002.bin'));
  copyFileSync(join(FIXTURES, 'plain-2.bin'), join(folder, 'pytorch_model-00002-of-00002.bin'));
  const map = (name: string, file: string) => Object.keys(expected[name]!).map((key) => [key, file]);
  const weight_map = Object.fromEntries([
    ...map('nested.pt', 'pytorch_model-00001-of-00002.bin'),
    ...map('plain-2.bin', 'pytorch_model-00002-of-00002.bin'),
  ]);
  writeFileSync(join(folder, 'pytorch_model.bin.index.json'), JSON.stringify({ weight_map }));
  await using checkpoint = await openCheckpoint(folder);
  expect(await digests(checkpoint.tensors)).toEqual({ ...expected['nested.pt'], ...expected['plain-2.bin'] });
  rmSync(folder, { recursive: true });
});

/** What torchao's tensors of each file become. */
const TYPES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'torchao-0.13.0.bin': {
    'int8wo.weight': 'IntxUnpackedToInt8Tensor',
    'int8wo-f32.weight': 'IntxUnpackedToInt8Tensor',
    'int8dq.weight': 'Int8Tensor',
    '8da4w.weight': 'IntxTensor',
    'intx3.weight': 'IntxTensor',
    'float8wo.weight': 'Float8Tensor',
  },
  'torchao-0.15.0.bin': {
    'int8wo.weight': 'IntxUnpackedToInt8Tensor',
    'intx4.weight': 'IntxUnpackedToInt8Tensor',
    '8da4w.weight': 'IntxUnpackedToInt8Tensor',
    'float8wo.weight': 'Float8Tensor',
  },
  'torchao-0.15.0.safetensors': {
    'intx4.weight': 'IntxUnpackedToInt8Tensor',
    '8da4w.weight': 'IntxUnpackedToInt8Tensor',
    'float8wo.weight': 'Float8Tensor',
  },
  'torchao-0.17.0.bin': {
    'int8dq.weight': 'Int8Tensor',
    'int8wo.weight': 'Int8Tensor',
    'intx4.weight': 'IntxUnpackedToInt8Tensor',
    '8da4w.weight': 'IntxUnpackedToInt8Tensor',
    'float8wo.weight': 'Float8Tensor',
  },
  'torchao-0.17.0.safetensors': {
    'int8dq.weight': 'Int8Tensor',
    'int8wo.weight': 'Int8Tensor',
    'intx4.weight': 'IntxUnpackedToInt8Tensor',
    '8da4w.weight': 'IntxUnpackedToInt8Tensor',
    'float8wo.weight': 'Float8Tensor',
  },
};

describe.each(Object.keys(TYPES))('%s', (name) => {
  test.each(Object.keys(TYPES[name]!))('%s has the values of torchao', async (weight) => {
    const rt = await createRuntime({ use: [quantization()] });
    await using source = Object.assign(await openFile(join(FIXTURES, name)), {
      [Symbol.asyncDispose]: async () => {},
    });
    const file = name.endsWith('.bin') ? (await openTorchFile(source)).file : await openSafetensors(source);
    const stored = storedTensors(file).get(weight)!;
    expect(stored.type).toBe(TYPES[name]![weight]);
    expect(stored.type).not.toBe(PLAIN);
    const t = dequantize(await readStored(rt, file, stored, { device: rt.device })) as Dense;
    const bits = await t.bits();
    const found = { dtype: t.dtype.name, shape: t.shape, sha256: sha256(new Uint8Array(bits.buffer)) };
    expect(found).toEqual(expected[name]![weight]);
    expect(dtypeBySafetensors(t.dtype.safetensors)).toBe(t.dtype);
    await source.close();
    await rt.close();
  });
});
