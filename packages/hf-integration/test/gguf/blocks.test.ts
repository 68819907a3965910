import { join } from 'node:path';
import { bytesSource, embedding, int32, openSafetensors, packWeight, type TensorFile, tensor } from '@ao/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoRuntime } from '../../src/auto-runtime.ts';
import { type FileSource, openFile } from '../../src/files/node-file.ts';
import { readStored, storedTensors } from '../../src/files/stored.ts';
import { blockForms, type Decoded } from '../../src/gguf/decode-blocks.ts';
import { blockEncoders } from '../../src/gguf/encode-blocks.ts';
import { kBlockEncoders } from '../../src/gguf/encode-k-blocks.ts';
import { ggmlType } from '../../src/gguf/ggml-types.ts';
import { openGguf } from '../../src/gguf/open-gguf.ts';

const runtime = await autoRuntime();
let source: FileSource;
let file: TensorFile;
beforeAll(async () => {
  source = await openFile(join(import.meta.dirname, 'blocks.safetensors'));
  file = await openSafetensors(source);
});
afterAll(async () => {
  await source.close();
  await runtime.close();
});

const floats = async (name: string): Promise<Float32Array> => {
  const bytes = await file.read(name);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
};

/** Whole blocks that follow each other, as values; each step rounded to float32 as the package does. */
function values(name: string, bytes: Uint8Array): Float32Array {
  const { block, bytes: size } = ggmlType(name);
  const form = blockForms[name]!;
  const n = (bytes.byteLength / size) * block;
  const out: Decoded = {
    codes: new Int8Array(n),
    scale: new Float32Array(n / form.group),
    offset: new Float32Array(n / form.group),
  };
  for (let b = 0; b < bytes.byteLength / size; b++)
    form.decode(bytes, b * size, out, b * block, (b * block) / form.group);
  return Float32Array.from(out.codes, (q, i) => {
    const g = Math.floor(i / form.group);
    return q * out.scale[g]! + (form.offset ? out.offset[g]! : 0);
  });
}

const sqnr = (x: ArrayLike<number>, y: ArrayLike<number>): number => {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    signal += x[i]! ** 2;
    noise += (x[i]! - y[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
};

describe.each(Object.keys(blockForms))('%s', (name) => {
  test('blocks mean what the gguf package says', async () => {
    const expected = await floats(`${name}.values`);
    const got = values(name, await file.read(`${name}.bytes`));
    expect(got.length).toBe(expected.length);
    // without an offset nothing is rounded twice
    const exact = !blockForms[name]!.offset;
    for (const [i, want] of expected.entries()) {
      const off = Math.abs(got[i]! - want);
      if (exact ? off !== 0 : off > 4e-7 * Math.max(...expected.subarray(i & ~255, (i & ~255) + 256).map(Math.abs))) {
        expect.fail(`value ${i} is ${got[i]}, not ${want}`);
      }
    }
  });

  test('a weight keeps its codes, packed and not, with the values of the blocks', async () => {
    const [want, bytes] = [await floats(`${name}.values`), await file.read(`${name}.bytes`)];
    const shape = file.entry(`${name}.values`).shape;
    const parameter = { name: 'a.weight', type: ggmlType(name), shape, offset: 0, alternating: undefined, added: 0 };
    const opened = openGguf(bytesSource(bytes), [parameter], 'float32');
    const stored = storedTensors(opened).get('a.weight')!;
    const w = await readStored(runtime, opened, stored, { device: runtime.device });
    expect(w.kind).not.toBeNull();
    const ids = tensor(runtime, [...want.keys()].slice(0, shape[0]), { dtype: int32 });
    for (const packed of [false, true]) {
      if (packed) expect(packWeight(runtime, w)).toBe(runtime.packer(runtime.device) !== undefined);
      expect(sqnr(want, Float32Array.from(await embedding(w, ids).data(), Number))).toBeGreaterThan(120);
    }
  });
});

describe.each(Object.keys(blockEncoders))('%s', (name) => {
  test('is written byte for byte as the gguf package writes it', async () => {
    const { block, bytes: size } = ggmlType(name);
    const x = await floats(`${name}.x`);
    const expected = await file.read(`${name}.bytes`);
    const out = new Uint8Array(expected.byteLength);
    for (let b = 0; b < x.length / block; b++) blockEncoders[name]!(x, b * block, out, b * size);
    expect(out).toEqual(expected);
  });
});

describe.each(Object.keys(kBlockEncoders))('%s', (name) => {
  const { bytes: size } = ggmlType(name);
  const encode = (x: Float32Array): Uint8Array => {
    const out = new Uint8Array((x.length / 256) * size).fill(255);
    for (let b = 0; b < x.length / 256; b++) kBlockEncoders[name]!(x, 256 * b, out, b * size);
    return out;
  };
  // a normal distribution by its sum of uniforms
  const normal = Float32Array.from({ length: 4096 }, (_, i) => {
    let sum = -6;
    for (let k = 0; k < 12; k++) sum += ((Math.imul(12 * i + k + 1, 2654435761) >>> 0) % 65521) / 65521;
    return 0.03 * sum;
  });

  test('keeps more than rounding each sub-block to its range', () => {
    const bits = name === 'Q4_K' ? 4 : 6;
    const group = blockForms[name]!.group;
    const plain = Float32Array.from(normal, (v, i) => {
      const part = normal.subarray(i - (i % group), i - (i % group) + group);
      const [low, high] =
        name === 'Q4_K' ? [Math.min(0, ...part), Math.max(0, ...part)] : [0, Math.max(...part.map(Math.abs))];
      const d = name === 'Q4_K' ? (high - low) / 15 : high / 31;
      return Math.round((v - low) / d) * d + low;
    });
    const got = sqnr(normal, values(name, encode(normal)));
    expect(got).toBeGreaterThan(sqnr(normal, plain) - (bits === 6 ? 0 : 0.1));
    expect(got).toBeGreaterThan(bits === 4 ? 21 : 35);
  });

  test('zeros stay zeros, and a few levels come back', () => {
    expect(values(name, encode(new Float32Array(256))).every((v) => v === 0)).toBe(true);
    const steps = Float32Array.from({ length: 256 }, (_, i) => (((i * 7) % 15) - 7) / 64);
    steps[0] = -7.5 / 64;
    expect(sqnr(steps, values(name, encode(steps)))).toBeGreaterThan(name === 'Q4_K' ? 28 : 36);
  });
});
