// tinygemm's tiles against the CUDA kernel's own formula (matrix_to_m16n8k16_Bint4_layout of aten/native/cuda/int4mm.cu, written
// down here lane by lane), which aten has for no other device; and torchao's Int4TilePackedTo4dTensor in files.
import {
  bfloat16,
  bytesSink,
  bytesSource,
  cast,
  type Dense,
  dequantize,
  fromBits,
  int32,
  openSafetensors,
  uint8,
  type Wrapped,
} from '@ao/core';
import { describe, expect, it } from 'vitest';
import { int4WeightOnly, parseScheme, quantizeTensor, readStateDict, writeStateDict } from '../src/index.ts';
import { packTiles, tiledShape, unpackTiles } from '../src/kinds/int4-tiles.ts';
import { devices } from './devices.ts';
import { matrix } from './model.ts';

/** Codes [n, k] as the kernel packs them; `inner` k-tiles of 16 together. */
function kernel(codes: ArrayLike<number>, n: number, k: number, inner = 8): Int32Array {
  const out: number[] = [];
  for (let nTile = 0; nTile < n / 8; nTile++)
    for (let kOuter = 0; kOuter < k / (inner * 16); kOuter++)
      for (let t = 0; t < 32; t++)
        for (let innerTile = 0; innerTile < inner; innerTile += 2) {
          const row = nTile * 8 + Math.floor(t / 4);
          const base0 = (kOuter * inner + innerTile) * 16 + (t % 4) * 2;
          const base1 = base0 + 16;
          const ks = [base0, base0 + 1, base0 + 8, base0 + 9, base1, base1 + 1, base1 + 8, base1 + 9];
          const v = ks.map((column) => codes[row * k + column] as number);
          const order = [0, 2, 4, 6, 1, 3, 5, 7];
          out.push(order.reduce((word, at, nibble) => word | ((v[at] as number) << (4 * nibble)), 0));
        }
  return Int32Array.from(out);
}

const noise = (length: number, seed: number): Uint8Array => {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 28;
  });
};

describe.each(devices)('tiles on $device', ({ rt }) => {
  it.each([
    [8, 1024, 1],
    [16, 1024, 2],
    [24, 2048, 3],
    [40, 3072, 4],
  ])('[%i, %i] are the kernel’s words, and a bijection', async (n, k, seed) => {
    const codes = noise(n * k, seed);
    const t = fromBits(rt, codes, [n, k], uint8);
    const words = packTiles(t) as Dense;
    expect([words.shape, words.dtype]).toEqual([[n / 8, k / 128, 32, 4], int32]);
    expect(await words.bits()).toEqual(kernel(codes, n, k));
    expect(await unpackTiles(words).bits()).toEqual(codes);
    const any = fromBits(
      rt,
      Int32Array.from(noise((n * k) / 8, seed + 9), (x) => Math.imul(x, 0x9e3779b1)),
      words.shape,
      int32,
    );
    expect(await (packTiles(unpackTiles(any)) as Dense).bits()).toEqual(await any.bits());
  });

  it.each([
    ['int4wo-tiles-32', [20, 192]],
    ['int4wo-tiles-64', [16, 1024]],
    ['int4wo-tiles-hqq-128', [8, 1280]],
  ] as const)('%s of %o: files of torchao’s class', async (scheme, [n, k]) => {
    const config = parseScheme(scheme);
    const w = cast(matrix(rt, n, k, 1), bfloat16);
    const q = quantizeTensor(w, config) as Wrapped;
    const sink = bytesSink();
    await writeStateDict(new Map([['m.weight', q]]), sink);
    const file = await openSafetensors(bytesSource(sink.bytes()));
    const group = (config as ReturnType<typeof int4WeightOnly>).groupSize;
    const [rows, columns] = tiledShape([n, k]);
    expect(JSON.parse(file.metadata['m.weight'] as string)).toEqual({
      _type: 'Int4TilePackedTo4dTensor',
      _data: { block_size: [1, group], shape: [n, k] },
      _tensor_data_names: ['qdata', 'scale_and_zero'],
    });
    expect(file.entry('m._weight_qdata')).toMatchObject({ dtype: 'I32', shape: [rows / 8, columns / 128, 32, 4] });
    expect(file.entry('m._weight_scale_and_zero')).toMatchObject({ dtype: 'BF16', shape: [columns / group, rows, 2] });
    const back = (await readStateDict(rt, bytesSource(sink.bytes()))).get('m.weight') as Wrapped;
    for (const part of q.kind.partNames)
      expect(await back.parts[part]?.bits(), part).toEqual(await q.parts[part]?.bits());
    expect(back.attrs).toEqual(q.attrs);
    const again = bytesSink();
    await writeStateDict(new Map([['m.weight', back]]), again);
    expect(again.bytes()).toEqual(sink.bytes());
    // the numbers are those of tinygemm's parameters in the plain layout
    if (!scheme.includes('hqq')) {
      const plain = quantizeTensor(w, parseScheme(`int4wo-tinygemm-${group}`));
      expect(await dequantize(back).data()).toEqual(await dequantize(plain).data());
    }
  });

  it('keep bfloat16 alone', () => {
    expect(() =>
      quantizeTensor(matrix(rt, 8, 64, 1), int4WeightOnly({ groupSize: 32, int4PackingFormat: 'tile_packed_to_4d' })),
    ).toThrow(/keeps bfloat16 scales, the weight is float32/);
  });
});
