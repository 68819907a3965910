// Codes of b bits in files: packed to their bits by default, torchao's layout on request, and both mean the same.
import { bytesSink, bytesSource, openSafetensors, type Tensor, type Wrapped } from '@ao/core';
import { describe, expect, it } from 'vitest';
import { parseScheme, quantizeTensor, readStateDict, writeStateDict } from '../src/index.ts';
import { packRows, unpackRows } from '../src/reference/bits.ts';
import { devices } from './devices.ts';
import { matrix } from './model.ts';

async function file(t: Tensor, form: 'ao' | 'torchao'): Promise<Uint8Array> {
  const sink = bytesSink();
  await writeStateDict(new Map([['m.weight', t]]), sink, { form });
  return sink.bytes();
}

const BITS = [1, 2, 3, 4, 5, 6, 7, 8];

describe('bits side by side', () => {
  it.each(BITS)('%i: every code comes back, whatever the columns', (bits) => {
    const signed = Int8Array.from({ length: 7 * 37 }, (_, i) => ((i * 31) % 2 ** bits) - 2 ** (bits - 1));
    for (const columns of [1, 7, 37, 7 * 37]) {
      const packed = packRows(signed, columns, bits);
      expect(packed.length).toBe((signed.length / columns) * Math.ceil((columns * bits) / 8));
      expect([...new Int8Array(unpackRows(packed, columns, bits, true).buffer)]).toEqual([...signed]);
    }
  });

  it('are in the order of pack_int4, lowest first', () =>
    expect([...packRows([1, 2, -1], 3, 4)]).toEqual([0x21, 0x0f]));
});

const schemes = [
  ...BITS.flatMap((b) => [`intx${b}-asym-32`, ...(b === 1 ? [] : [`intx${b}-sym-32`])]),
  'intx3-hqq-32',
  'intx5-asym',
  '8da3w-32',
];

describe.each(devices)('files of other codes on $device', ({ rt }) => {
  it.each([
    ['uint3wo-32', 3, 'qdata'],
    ['uintx4wo-32', 4, 'qdata'],
    ['fp6_e3m2', 6, 'qdata'],
    ['codebook2wo', 2, 'codes'],
    ['lut5wo-2r', 5, 'codes'],
  ])('%s has %i bits a code', async (scheme, bits, part) => {
    const t = quantizeTensor(matrix(rt, 6, 100, 1), parseScheme(scheme)) as Wrapped;
    const bytes = await file(t, 'ao');
    const stored = await openSafetensors(bytesSource(bytes));
    expect(stored.entry(`m._weight_${part}`)).toMatchObject({ shape: [6, Math.ceil((100 * bits) / 8)] });
    const back = (await readStateDict(rt, bytesSource(bytes))).get('m.weight') as Wrapped;
    expect([back.kind, back.shape, back.attrs]).toEqual([t.kind, t.shape, t.attrs]);
    for (const name of t.kind.partNames)
      expect(await back.parts[name]?.bits(), name).toEqual(await t.parts[name]?.bits());
    expect(await file(back, 'ao')).toEqual(bytes);
    await expect(file(t, 'torchao')).rejects.toThrow(/torchao has no class \w+.*tensor m\.weight/);
  });
});

describe.each(devices)('files of intx on $device', ({ rt }) => {
  it.each(schemes)('%s', async (scheme) => {
    const bits = Number(/\d/.exec(scheme.replace('8da', ''))?.[0]);
    const [rows, columns] = [5, 96];
    const t = quantizeTensor(matrix(rt, rows, columns, 1), parseScheme(scheme)) as Wrapped;
    const [ours, theirs] = [await file(t, 'ao'), await file(t, 'torchao')];
    const stored = await openSafetensors(bytesSource(ours));
    const { begin, end } = stored.entry('m._weight_qdata');
    expect(end - begin).toBe((rows * columns * bits) / 8);
    const asymmetric = scheme.includes('asym');
    expect(stored.has('m._weight_zero_point')).toBe(asymmetric || bits === 8);
    expect(stored.metadata['m.weight']).toContain(bits === 8 ? '"IntxUnpackedToInt8Tensor"' : '"IntxTensor"');
    for (const bytes of [ours, theirs]) {
      const back = (await readStateDict(rt, bytesSource(bytes))).get('m.weight') as Wrapped;
      expect([back.kind, back.shape, back.dtype]).toEqual([t.kind, t.shape, t.dtype]);
      expect(back.attrs).toEqual(t.attrs);
      for (const part of t.kind.partNames)
        expect(await back.parts[part]?.bits(), part).toEqual(await t.parts[part]?.bits());
      expect(await file(back, 'ao')).toEqual(ours);
      expect(await file(back, 'torchao')).toEqual(theirs);
    }
  });
});
