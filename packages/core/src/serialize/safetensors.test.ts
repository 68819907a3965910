import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeArray } from '../dtype.ts';
import { bfloat16 } from '../dtypes/index.ts';
import { isAoError } from '../errors.ts';
import { bytesSink, bytesSource } from './bytes.ts';
import { fileDtypeNames } from './file-dtypes.ts';
import { fuzzSafetensors } from './safetensors.fuzz.ts';
import { openSafetensors } from './safetensors-read.ts';
import type { SafetensorsItem } from './safetensors-write.ts';
import { compareNames, safetensorsHeader, writeSafetensors } from './safetensors-write.ts';

/** A file of this header text, with the right length field and `data` zero bytes. */
function fileOf(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + json.length + data);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

const open = (header: string, data = 0) => openSafetensors(bytesSource(fileOf(header, data), 'm.safetensors'));
const tensor = (begin: number, end: number, dtype = 'U8', shape = [end - begin]) =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

describe('round trip', () => {
  const item = fc.record({
    name: fc.string({ unit: 'grapheme', maxLength: 12 }),
    dtype: fc.constantFrom(...fileDtypeNames()),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }).map((shape) => [...shape, 4]),
    fill: fc.integer({ min: 1, max: 255 }),
  });
  const items = fc
    .uniqueArray(item, { selector: (x) => x.name, maxLength: 8 })
    .map((all) => all.filter(({ name }) => name !== '__proto__' && name !== '__metadata__'));
  const metadata = fc.dictionary(fc.stringMatching(/^[a-z"\\]{1,5}$/), fc.string({ unit: 'grapheme' }));

  it('keeps names, dtypes, shapes, bytes and metadata', async () => {
    await fc.assert(
      fc.asyncProperty(items, metadata, async (all, meta) => {
        const fills = new Map(all.map((x) => [x.name, x.fill]));
        const sink = bytesSink();
        const layout = await writeSafetensors(
          sink,
          all,
          ({ name, begin, end }) => new Uint8Array(end - begin).fill(fills.get(name) as number),
          { metadata: meta },
        );
        expect(sink.bytes().length).toBe(layout.size);
        expect(layout.header.length % 8).toBe(0);
        const file = await openSafetensors(bytesSource(sink.bytes()));
        expect({ ...file.metadata }).toEqual(meta);
        expect([...file.names].sort()).toEqual(all.map((x) => x.name).sort());
        for (const { name, dtype, shape, fill } of all) {
          expect(file.entry(name)).toMatchObject({ dtype, shape });
          const bytes = await file.read(name);
          expect(bytes.every((b) => b === fill)).toBe(true);
          expect(await file.readRange(name, 0, bytes.length >> 1)).toEqual(bytes.slice(0, bytes.length >> 1));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('writes in the reference order: wide dtypes first, then by the bytes of the name', () => {
    const of = (name: string, dtype: string): SafetensorsItem => ({ name, dtype, shape: [2] });
    const layout = safetensorsHeader(
      [
        of('b', 'U8'),
        of('a', 'BF16'),
        of('\ue000', 'F32'),
        of('😀', 'F32'),
        of('a2', 'I8'),
        of('c', 'F16'),
        of('z', 'I64'),
      ],
      { format: 'pt' },
    );
    expect(layout.entries.map((e) => e.name)).toEqual(['z', '\ue000', '😀', 'a', 'c', 'a2', 'b']);
    const text = new TextDecoder().decode(layout.header.subarray(8));
    expect(text).toMatch(
      /^\{"__metadata__":\{"format":"pt"\},"z":\{"dtype":"I64","shape":\[2\],"data_offsets":\[0,16\]\},/,
    );
    expect(text.length).toBeGreaterThan(text.trimEnd().length - 1);
  });

  it('orders names as their UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(Math.sign(compareNames(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  it('accepts a tensor in chunks', async () => {
    const raw = encodeArray(bfloat16, [1, 2, 3, 4]);
    const bytes = new Uint8Array(raw.buffer);
    const sink = bytesSink();
    await writeSafetensors(sink, [{ name: 'w', dtype: 'BF16', shape: [4] }], async function* () {
      yield bytes.subarray(0, 3);
      yield bytes.subarray(3);
    });
    expect(await (await openSafetensors(bytesSource(sink.bytes()))).read('w')).toEqual(bytes);
  });

  it('aborts the sink when a tensor has other bytes than its entry, and on a signal', async () => {
    for (const length of [3, 5]) {
      const sink = bytesSink();
      let aborted = 0;
      const watched = { ...sink, abort: async () => void aborted++ };
      const write = writeSafetensors(watched, [{ name: 'w', dtype: 'F32', shape: [1] }], () => new Uint8Array(length));
      await expect(write).rejects.toThrow(/bytes than \[1\] of F32 needs \(tensor w\)/);
      expect([aborted, sink.bytes().length]).toEqual([1, 0]);
    }
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(writeSafetensors(bytesSink(), [], () => new Uint8Array(0), { signal })).rejects.toThrow('enough');
  });

  it('refuses to write what nobody could read', () => {
    const of = (name: string, dtype = 'F32', shape = [1]): SafetensorsItem => ({ name, dtype, shape });
    expect(() => safetensorsHeader([of('a'), of('a')])).toThrow(/two tensors have this name \(tensor a\)/);
    expect(() => safetensorsHeader([of('__proto__')])).toThrow(/cannot name a tensor/);
    expect(() => safetensorsHeader([of('\ud800')])).toThrow(/surrogate/);
    expect(() => safetensorsHeader([of('a', 'F31')])).toThrow(/'F31' is none of BOOL/);
    expect(() => safetensorsHeader([of('a', 'F4', [3])])).toThrow(/whole number of bytes/);
    expect(() => safetensorsHeader([of('a', 'F32', [-1])])).toThrow(/whole numbers/);
    expect(() => safetensorsHeader([of('a', 'F32', [2 ** 40, 2 ** 40])])).toThrow(/2\^53/);
  });
});

describe('reader', () => {
  it('accepts any white space, key order, tensor order, escapes and empty tensors', async () => {
    const file = await open(
      '{ "b":{"data_offsets":[2 , 4],"shape":[\n2],"dtype":"U8"},\t"\\u0061":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},' +
        '"e":{"dtype":"F32","shape":[0,9],"data_offsets":[4,4]},"constructor":{"dtype":"U8","shape":[],"data_offsets":[4,5]}}  ',
      5,
    );
    expect(file.names).toEqual(['a', 'b', 'e', 'constructor']);
    expect(file.metadata.toString).toBeUndefined();
    expect((await file.read('e')).length).toBe(0);
    expect((await openSafetensors(bytesSource(fileOf('{}')))).names).toEqual([]);
  });

  it('names what it has when asked for what it lacks', async () => {
    const file = await open(`{"a":${tensor(0, 4)}}`, 4);
    await expect(file.read('b')).rejects.toThrow('m.safetensors has no such tensor (tensor b). Fix: it has: a.');
    expect(() => file.entry('toString')).toThrow(/no such tensor/);
    for (const [begin, end] of [
      [-1, 2],
      [0, 5],
      [3, 2],
      [0.5, 1],
      [0, NaN],
    ] as const) {
      await expect(file.readRange('a', begin, end)).rejects.toThrow(/no bytes .* in a tensor of 4 bytes/);
    }
  });

  it.each([
    ['overlap', `{"a":${tensor(0, 4)},"b":${tensor(2, 6)}}`, 6, /2 to 6 overlap those of 'a' \(tensor b\)/],
    ['the same bytes twice', `{"a":${tensor(0, 4)},"b":${tensor(0, 4)}}`, 4, /overlap/],
    ['hole', `{"a":${tensor(0, 4)},"b":${tensor(6, 8)}}`, 8, /hole of 2 bytes before byte 6 .*tensor b/],
    ['hole at the start', `{"a":${tensor(1, 4)}}`, 4, /hole of 1 bytes/],
    ['truncated data', `{"a":${tensor(0, 4)}}`, 3, /cut short: the tensors need 4 bytes of data, the file has 3/],
    ['trailing bytes', `{"a":${tensor(0, 4)}}`, 5, /1 bytes follow the last tensor/],
    ['reversed offsets', `{"a":${tensor(4, 0, 'U8', [4])}}`, 4, /data_offsets are \[4, 0\]/],
    ['three offsets', '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}', 1, /data_offsets are/],
    ['size against shape', `{"a":${tensor(0, 4, 'F32', [2])}}`, 4, /\[2\] of F32 needs 8 bytes, data_offsets give 4/],
    ['unknown dtype', `{"a":${tensor(0, 4, 'F31', [1])}}`, 4, /'F31' is none of BOOL, F4.*tensor a/],
    ['part of a byte', `{"a":${tensor(0, 2, 'F4', [3])}}`, 2, /whole number of bytes/],
    ['huge shape', `{"a":${tensor(0, 4, 'F32', [2 ** 50, 2 ** 50])}}`, 4, /more than 2\^53 bits/],
    [
      'negative',
      '{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}',
      1,
      /whole number from 0 .*found -1 .*tensor a/,
    ],
    ['fraction', '{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', 1, /found 1\.0/],
    ['exponent', '{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', 1, /found 1e0/],
    ['above 2^53', '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,9007199254740993]}}', 1, /found 9007199254740993/],
    ['a string for a number', '{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}', 1, /whole number, found '"'/],
    ['null', '{"a":null}', 0, /expected '\{', found 'null' .*tensor a/],
    ['duplicate tensor', `{"a":${tensor(0, 4)},"a":${tensor(0, 4)}}`, 4, /the key 'a' twice/],
    ['duplicate by escape', `{"a":${tensor(0, 4)},"\\u0061":${tensor(0, 4)}}`, 4, /the key 'a' twice/],
    ['duplicate field', '{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', 1, /'dtype' twice/],
    ['duplicate metadata', '{"__metadata__":{"x":"1","x":"2"}}', 0, /'x' twice/],
    ['metadata of no string', '{"__metadata__":{"x":1}}', 0, /expected '"', found '1'/],
    ['prototype key', `{"__proto__":${tensor(0, 4)}}`, 4, /the key '__proto__'/],
    ['prototype key in metadata', '{"__metadata__":{"__proto__":"x"}}', 0, /the key '__proto__'/],
    ['unknown field', '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}', 1, /unknown field 'x'/],
    ['missing dtype', '{"a":{"shape":[1],"data_offsets":[0,1]}}', 1, /no field 'dtype'/],
    ['missing shape', '{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1, /no field 'shape'/],
    ['missing offsets', '{"a":{"dtype":"U8","shape":[1]}}', 1, /no field 'data_offsets'/],
    ['array', '[]', 0, /does not start with '\{'/],
    ['leading space', ' {}', 0, /does not start with '\{'/],
    ['text behind', '{}{}', 0, /expected the end, found '\{'/],
    ['trailing comma', '{"a":{"dtype":"U8","shape":[1,],"data_offsets":[0,1]}}', 1, /found '\]'/],
    ['cut JSON', '{"a":{"dty', 0, /a string without an end/],
    ['control character', '{"a\n":1}', 0, /control character/],
    ['bad escape', '{"\\x":1}', 0, /bad escape/],
    ['half a surrogate', '{"\\ud800":1}', 0, /surrogate/],
    ['byte order mark', '\ufeff{}', 0, /does not start with/],
  ])('refuses: %s', async (_, header, data, message) => {
    const error = await open(header, data).then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(isAoError(error, 'ERR_AO_FORMAT')).toBe(true);
    expect(error).toMatchObject({ message: expect.stringMatching(message), fix: expect.any(String) });
    expect((error as Error).message).toMatch(/^m\.safetensors: /);
  });

  it.each([
    ['no bytes', new Uint8Array(0), /0 bytes are too few/],
    ['seven bytes', new Uint8Array(7), /7 bytes are too few/],
    ['length 0', fileOf('{}', 0, 0n), /too short/],
    ['length beyond the file', fileOf('{}', 0, 3n), /header ends at byte 11, the file at byte 10/],
    ['a huge length', fileOf('{}', 0, 100_000_001n), /100000001, above the format's limit of 100000000/],
    ['the largest length', fileOf('{}', 0, 2n ** 64n - 1n), /18446744073709551615, above/],
    ['no UTF-8', fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), /not UTF-8/],
  ])('refuses: %s', async (_, file, message) => {
    await expect(openSafetensors(bytesSource(file, 'm.safetensors'))).rejects.toMatchObject({
      code: 'ERR_AO_FORMAT',
      message: expect.stringMatching(message),
    });
  });

  it('refuses a source that ends early, at the header and at a tensor', async () => {
    const file = fileOf(`{"a":${tensor(0, 4)}}`, 4);
    for (const limit of [4, 20, file.length - 1]) {
      const short = bytesSource(file.slice(0, limit), 'm.safetensors');
      const lying = { ...short, size: file.length };
      await expect(openSafetensors(lying).then((f) => f.read('a'))).rejects.toThrow(
        /m.safetensors: .* of \d+ bytes at/,
      );
    }
  });

  it('survives 20 000 mutated files', async () => {
    const seed = Date.now() % 2 ** 31;
    const result = await fuzzSafetensors(20_000, seed);
    expect(result.rejected).toBeGreaterThan(1000);
    expect(result.opened).toBeGreaterThan(100);
  }, 60_000);
});
