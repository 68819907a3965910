import { describe, expect, it } from 'vitest';
import { bytesSink, bytesSource } from './bytes.ts';
import { openSafetensorsIndex, parseSafetensorsIndex, planShards, safetensorsIndex } from './safetensors-index.ts';
import { writeSafetensors } from './safetensors-write.ts';

const items = ['w2', 'w10', 'é', 'big', 'tail'].map((name, i) => ({ name, dtype: 'U8', shape: [i === 3 ? 100 : 10] }));

async function written(shards: ReturnType<typeof planShards>): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const { file, items: all } of shards) {
    const sink = bytesSink(file);
    await writeSafetensors(sink, all, ({ name, begin, end }) => new Uint8Array(end - begin).fill(name.length), {
      metadata: { format: 'pt' },
    });
    files.set(file, sink.bytes());
  }
  return files;
}

const source = (files: Map<string, Uint8Array>) => (file: string) => bytesSource(files.get(file) as Uint8Array, file);

describe('shards', () => {
  it('fill up to the limit, and what is larger stands alone', () => {
    const shards = planShards(items, 25);
    expect(shards.map((s) => [s.file, s.items.map((i) => i.name).join(' '), s.nbytes])).toEqual([
      ['model-00001-of-00003.safetensors', 'w2 w10', 20],
      ['model-00002-of-00003.safetensors', 'big', 100],
      ['model-00003-of-00003.safetensors', 'é tail', 20],
    ]);
    expect(planShards(items, 1000).map((s) => s.file)).toEqual(['model.safetensors']);
    expect(planShards([], 10)).toEqual([{ file: 'model.safetensors', items: [], nbytes: 0 }]);
  });

  it('print the index as transformers does', () => {
    expect(safetensorsIndex(planShards(items.slice(0, 3), 20))).toBe(`{
  "metadata": {
    "total_size": 30
  },
  "weight_map": {
    "w10": "model-00001-of-00002.safetensors",
    "w2": "model-00001-of-00002.safetensors",
    "\\u00e9": "model-00002-of-00002.safetensors"
  }
}
`);
  });

  it('read as one file', async () => {
    const shards = planShards(items, 25);
    const file = await openSafetensorsIndex(safetensorsIndex(shards), source(await written(shards)));
    expect([...file.names].sort()).toEqual(items.map((i) => i.name).sort());
    expect(file.metadata.format).toBe('pt');
    expect([...(await file.read('tail'))]).toEqual(Array(10).fill(4));
    expect([...(await file.readRange('big', 98, 100))]).toEqual([3, 3]);
    expect(file.has('toString')).toBe(false);
    await expect(file.read('x')).rejects.toThrow(/index.json has no such tensor \(tensor x\)/);
  });

  it('must hold what the index says, no less and no more', async () => {
    const shards = planShards(items, 25);
    const files = await written(shards);
    const text = safetensorsIndex(shards);
    const missing = text.replace('"big": ', '"bigger": "model-00002-of-00003.safetensors",\n    "big": ');
    await expect(openSafetensorsIndex(missing, source(files))).rejects.toThrow(
      /00002.*lacks this tensor.*tensor bigger/,
    );
    const unlisted = text.replace(/"tail": .*,\n/, '');
    await expect(openSafetensorsIndex(unlisted, source(files))).rejects.toThrow(/does not list it \(tensor tail\)/);
    const moved = text.replace(/("tail": "model-0000)3/, '$12');
    await expect(openSafetensorsIndex(moved, source(files))).rejects.toThrow(/puts it in model-00002.*tensor tail/);
  });
});

describe('index', () => {
  it('keeps its metadata and lists each file once', () => {
    const index = parseSafetensorsIndex(
      '{"metadata":{"total_size":1.5e3,"x":[null,true]},"weight_map":{"a":"f","b":"f"}}',
    );
    expect(index.metadata).toEqual({ total_size: 1500, x: [null, true] });
    expect(index.files).toEqual(['f']);
  });

  it.each([
    ['{}', /no 'weight_map'/],
    ['{"weight_map":{"a":"../f"}}', /'\.\.\/f' is no plain file name .*tensor a/],
    ['{"weight_map":{"a":".."}}', /no plain file name/],
    ['{"weight_map":{"a":"C:\\\\f"}}', /no plain file name/],
    ['{"weight_map":{"a":"f","a":"g"}}', /'a' twice/],
    ['{"weight_map":{"a":1}}', /expected '"'/],
    ['{"metadata":[],"weight_map":{}}', /'metadata' is no object/],
    ['{"weight_map":{}} x', /expected the end/],
    [`{"x":${'['.repeat(100)}`, /nesting deeper/],
    ['{"x":tru}', /expected a value, found 'tru'/],
  ])('refuses %s', (text, message) => {
    expect(() => parseSafetensorsIndex(text)).toThrow(message);
  });
});
