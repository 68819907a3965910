// Tiny models of each family that GGUF has: written as GGUF and read again, they have the same numbers and say the same.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bfloat16, type Runtime, type TensorFile } from '@ao/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../../src/auto-runtime.ts';
import { convertCheckpoint } from '../../src/convert/convert-checkpoint.ts';
import { openCheckpoint } from '../../src/files/checkpoint.ts';
import { AutoModelForCausalLM } from '../../src/from-pretrained.ts';
import { convertToGguf } from '../../src/gguf/convert-to-gguf.ts';
import { ggufFolder } from '../../src/gguf/gguf-folder.ts';
import { inspect } from '../../src/quantize/inspect.ts';
import { familyFixture, writeFamily } from '../family-fixtures.ts';

let root: string;
let runtime: Runtime;
const home = process.env['HF_HOME'];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ao-gguf-'));
  process.env['HF_HOME'] = join(root, 'cache');
  runtime = await autoRuntime();
});
afterAll(async () => {
  await runtime.close();
  if (home === undefined) delete process.env['HF_HOME'];
  else process.env['HF_HOME'] = home;
  await rm(root, { recursive: true, force: true });
});

async function greedy(name: string, ids: readonly number[]): Promise<readonly number[]> {
  const model = await AutoModelForCausalLM.fromPretrained(name, { runtime, dtype: 'float32' });
  const { ids: out } = await model.generate([...ids], { maxNewTokens: 8, ignoreEos: true });
  model.dispose();
  return out;
}

async function floats(file: TensorFile, name: string): Promise<Float32Array> {
  const bytes = await file.read(name);
  if (file.entry(name).dtype === 'F32') return new Float32Array(bytes.slice().buffer);
  return Float32Array.from(new Uint16Array(bytes.slice().buffer), (code) => bfloat16.decode(code));
}

const FAMILIES = [
  'smollm',
  'llama3',
  'tinyllama',
  'mistral',
  'phi3',
  'phi4-mini',
  'qwen2',
  'qwen2-yarn',
  'qwen3',
  'gemma2',
  'gemma3',
  'mixtral',
];
/** What GGUF has no field for. */
const CHANGES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  mistral: { sliding_window: null },
  mixtral: { sliding_window: null },
  phi3: { sliding_window: null },
  'phi4-mini': { sliding_window: null },
  qwen2: { use_sliding_window: false },
  gemma2: { query_pre_attn_scalar: 16 },
  gemma3: { query_pre_attn_scalar: 16, sliding_window_pattern: 6, rope_local_base_freq: 10000 },
};

describe.each(FAMILIES)('%s', (name) => {
  test('as bfloat16: every number is the same, and so are the tokens', async () => {
    const fixture = await familyFixture(name);
    const [folder, file] = [join(root, name), join(root, `${name}.gguf`)];
    await writeFamily(folder, fixture, { config: { ...fixture.config, ...CHANGES[name] } });
    const report = await convertToGguf(folder, file, { type: 'bf16', runtime });
    expect(report.notes).toEqual([]);
    await using ours = await openCheckpoint(folder);
    await using theirs = await openCheckpoint(await ggufFolder(file));
    expect([...theirs.tensors.names].sort()).toEqual([...ours.tensors.names].sort());
    for (const tensor of ours.tensors.names) {
      expect(theirs.tensors.entry(tensor).shape).toEqual(ours.tensors.entry(tensor).shape);
      expect(await floats(theirs.tensors, tensor), tensor).toEqual(await floats(ours.tensors, tensor));
    }
    const { ids } = fixture.cases[0]!;
    expect(await greedy(file, ids)).toEqual(await greedy(folder, ids));
  });
});

test('a window that GGUF does not have is noted', async () => {
  await writeFamily(join(root, 'window'), await familyFixture('mistral'));
  const { notes } = await convertToGguf(join(root, 'window'), join(root, 'window.gguf'), { type: 'q8_0', runtime });
  expect(notes).toEqual([expect.stringMatching(/no window: beyond 8 tokens/)]);
});

test('quantized: codes stay codes, in the file of a folder too, and the tokens are those of dequantized weights', async () => {
  const folder = join(root, 'q');
  await writeFamily(folder, await familyFixture('smollm'));
  for (const type of ['q4_0', 'q4_1', 'q8_0']) {
    const [file, out, floatsOf] = [
      join(root, `q-${type}.gguf`),
      join(root, `q-${type}`),
      join(root, `q-${type}-floats`),
    ];
    await convertToGguf(folder, file, { type, runtime });
    const { modules } = await inspect(file);
    const types = { q4_0: 'IntxUnpackedToInt8Tensor', q4_1: 'Int4Tensor', q8_0: 'Int8Tensor' } as Record<
      string,
      string
    >;
    expect(modules.find((m) => m.name.endsWith('q_proj'))).toMatchObject({ type: types[type] });
    await convertCheckpoint(await ggufFolder(file), out, { runtime });
    await convertCheckpoint(await ggufFolder(file), floatsOf, { runtime, dequantize: true, dtype: 'float32' });
    const ids = await greedy(file, [1, 17, 40]);
    expect(await greedy(out, [1, 17, 40])).toEqual(ids);
    expect(await greedy(floatsOf, [1, 17, 40])).toEqual(ids);
  }
});

test('what cannot be is an error that says why', async () => {
  const [folder, file] = [join(root, 'errors'), join(root, 'errors.gguf')];
  await writeFamily(folder, await familyFixture('olmo2'));
  await expect(convertToGguf(folder, file, { type: 'q4_k', runtime })).rejects.toThrow(
    /models of type olmo2 have no form in GGUF/,
  );
  await expect(convertToGguf(folder, file, { type: 'q3_k', runtime })).rejects.toThrow(
    /no type of GGUF that is written.*q4_0/,
  );
  await writeFile(file, 'GGUF\u0003\u0000\u0000\u0000');
  await expect(inspect(file)).rejects.toThrow(/errors\.gguf: the head ends beyond byte 8/);
  const bytes = await readFile(join(root, 'q-q8_0.gguf'));
  await writeFile(file, bytes.subarray(0, bytes.byteLength - 64));
  await expect(inspect(file)).rejects.toThrow(/errors\.gguf: its bytes \d+ to \d+ lie beyond the end/);
});
