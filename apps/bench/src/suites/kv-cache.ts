// Keys and values in fewer bits: bytes of an 8B model's cache in the backend's arena, against what arithmetic says, and the cross
// entropy of SmolLM2-135M reading its text through such a cache. How fast they are read: `kernels`, sdpa-*.

import { bfloat16 } from '@ao/core';
import { autoRuntime, type CacheFormat, type KVCacheFormat, StaticCache } from '@ao/hf-integration';
import { TEXT } from '../quality.ts';
import type { Measurement, Suite, SuiteOptions } from '../suite.ts';
import { startOurs } from '../text-engine.ts';

/** Llama 3.1 8B. */
const SHAPE = { layers: 32, heads: 8, headDim: 128 };
const FORMATS = ['bf16', 'int8', 'int8-asym', 'int8-int4', 'int4', 'int4-asym'] as const;
type Format = (typeof FORMATS)[number];
const formatOf = (f: Format): KVCacheFormat => (f === 'int8-int4' ? { keys: 'int8', values: 'int4' } : f);
const CONTEXTS = { '2k': 2048, '8k': 8192, '32k': 32768 };
/** Windows of the evaluation text, in tokens: 8,192 of them each. */
const WINDOWS = { '2k': 4, '8k': 1 };

type Context = keyof typeof CONTEXTS;
const memoryId = (context: Context, format: Format): string => `kv-memory-${context}-${format}`;
const qualityId = (context: Context, format: Format): string => `kv-quality-${context}-${format}`;

/** Of keys or values: 16 bits a value, or codes with one or two float32 a row. */
function rowBytes(format: CacheFormat): number {
  if (format === 'bf16') return 2 * SHAPE.headDim;
  return (SHAPE.headDim * Number(format[3])) / 8 + (format.endsWith('asym') ? 8 : 4);
}

function bytesOf(name: Format, tokens: number): number {
  const format = formatOf(name);
  const { keys, values } = typeof format === 'string' ? { keys: format, values: format } : format;
  return SHAPE.layers * SHAPE.heads * tokens * (rowBytes(keys) + rowBytes(values));
}

async function* memory(options: SuiteOptions): AsyncGenerator<Measurement> {
  await using rt = await autoRuntime();
  const mega = (bytes: number): number => bytes / 2 ** 20;
  for (const [context, length] of Object.entries(CONTEXTS) as [Context, number][]) {
    for (const format of FORMATS) {
      if (!options.wants(memoryId(context, format))) continue;
      const backend = rt.backend(rt.device);
      const before = backend.memory().live;
      const shape = { ...SHAPE, batch: 1, length, dtype: bfloat16, device: rt.device };
      const cache = new StaticCache(rt, { ...shape, format: formatOf(format) });
      const ours = mega(backend.memory().live - before);
      cache.dispose();
      await backend.sync();
      yield {
        id: memoryId(context, format),
        what: `keys and values of ${length} tokens of an 8B model, ${format}`,
        unit: 'MiB',
        ours,
        limit: { name: 'arithmetic', value: mega(bytesOf(format, length)) },
        lowerIsBetter: true,
        target: { kind: 'at most', value: 1.01 * mega(bytesOf(format, length)) },
      };
    }
  }
}

async function* quality(options: SuiteOptions): AsyncGenerator<Measurement> {
  const contexts = Object.keys(WINDOWS) as (keyof typeof WINDOWS)[];
  if (!contexts.some((context) => FORMATS.some((format) => options.wants(qualityId(context, format))))) return;
  const absent = options.absent('models');
  const engine =
    absent === undefined
      ? await startOurs('evaluation', {}, { threads: options.threads, contextSize: 8192 })
      : undefined;
  try {
    for (const context of contexts) {
      let exact: number | undefined;
      const nats = async (format: Format): Promise<number> => {
        const job = { evaluate: TEXT, windows: WINDOWS[context], window: CONTEXTS[context], kvCache: formatOf(format) };
        return (await engine!.run(job)).crossEntropy!;
      };
      for (const format of FORMATS) {
        if (!options.wants(qualityId(context, format))) continue;
        const row = {
          id: qualityId(context, format),
          what: `cross entropy of SmolLM2-135M in windows of ${CONTEXTS[context]} tokens, ${format} cache`,
          unit: 'nats/token',
          lowerIsBetter: true,
        };
        if (engine === undefined) {
          yield { ...row, skipped: absent! };
          continue;
        }
        exact ??= await nats('bf16');
        const ours = format === 'bf16' ? exact : await nats(format);
        yield {
          ...row,
          ours,
          crossEntropy: { ours, exact },
          ...(['int8', 'int8-asym'].includes(format) && { target: { kind: 'at most' as const, value: exact + 0.01 } }),
        };
      }
    }
  } finally {
    engine?.stop();
  }
}

export const suite: Suite = {
  name: 'kv-cache',
  rows: [
    ...(Object.keys(CONTEXTS) as Context[]).flatMap((c) => FORMATS.map((f) => memoryId(c, f))),
    ...(Object.keys(WINDOWS) as Context[]).flatMap((c) => FORMATS.map((f) => qualityId(c, f))),
  ],
  async *run(options) {
    yield* memory(options);
    yield* quality(options);
  },
};
