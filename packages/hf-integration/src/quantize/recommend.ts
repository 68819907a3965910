// recommend(name, { memory, device, task }): a config that fits the memory and suits the work, with the reasons, from headers
// alone. One text at a time is as fast as its weights are small: schemes that keep the most come first, and less only where the
// memory asks for it. Many tokens at a time (batches, embeddings) are bound by multiplying: int8 activations come first.
import { totalmem } from 'node:os';
import { AoError, isAoError, type Runtime } from '@ao/core';
import { configToFile, type FqnToConfig, fqnToConfig, parseScheme } from '@ao/quantization';
import { AutoConfig } from '../auto-config.ts';
import { autoRuntime } from '../auto-runtime.ts';
import type { HubOptions } from '../hub/options.ts';
import { moduleOf } from '../models/family.ts';
import { estimate } from './estimate.ts';
import { type TorchAoConfig, torchAoConfig } from './torchao-config.ts';

export type RecommendTask = 'chat' | 'batch' | 'embed';

export interface RecommendOptions extends HubOptions {
  /** Bytes for weights, keys and values, activations and the process; this machine's unless given. */
  readonly memory?: number;
  /** Where it will run; 'auto' (default) = the fastest that is here. */
  readonly device?: string;
  /** chat (default): one text at a time; batch: many at a time; embed: vectors of texts. */
  readonly task?: RecommendTask;
  readonly contextLength?: number;
  /** Default: autoRuntime({ device }), closed at the end. */
  readonly runtime?: Runtime;
}

export interface Considered {
  readonly scheme: string;
  /** Weights, keys and values in the smallest cache, activations and the process. */
  readonly totalBytes: number | null;
  /** Why it was not taken; absent for the one that was. */
  readonly why?: string;
}

export interface Recommendation {
  readonly scheme: string;
  readonly config: FqnToConfig;
  readonly quantizationConfig: TorchAoConfig;
  /** The config as a file to read, edit and give to `ao quantize --config`. */
  readonly file: string;
  readonly totalBytes: number;
  readonly memory: number;
  /** generate's kvCache that the memory asks for. */
  readonly kvCache: string;
  readonly reasons: readonly string[];
  /** In the order of preference, up to the one that was taken. */
  readonly considered: readonly Considered[];
}

interface Preference {
  readonly scheme: string;
  /** Of an untied or tied head, where the model has one. */
  readonly head: string;
  readonly because: string;
}

const HEAD = 'int8wo:int8-group';
const weightOnly = (scheme: string, because: string): Preference => ({ scheme, head: HEAD, because });

const SMALLER: readonly Preference[] = [
  weightOnly('int4wo-32:int8-group', 'a quarter of the bytes of 16 bits; groups of 32 keep most of what 4 bits can'),
  weightOnly('int4wo-64:int8-group', 'groups of 64: less memory for scales'),
  weightOnly('int4wo-128:int8-group', 'groups of 128: little memory for scales'),
];

const PREFERENCES: Readonly<Record<RecommendTask, readonly Preference[]>> = {
  chat: [weightOnly('int8wo:int8-group', 'half the bytes of 16 bits, nearly nothing lost'), ...SMALLER],
  batch: [
    { scheme: 'int8dq', head: 'int8dq', because: 'many rows at a time: int8 products are the fastest' },
    { scheme: '8da4w-32', head: 'int8dq', because: 'int8 products on weights of 4 bits' },
    ...SMALLER.slice(1),
  ],
  embed: [
    { scheme: 'int8dq', head: 'int8dq', because: 'many rows at a time: int8 products are the fastest' },
    { scheme: '8da4w-32', head: 'int8dq', because: 'int8 products on weights of 4 bits' },
  ],
};

/** Rejects with ERR_AO_MEMORY, naming what the smallest needs, where nothing fits. */
export async function recommend(name: string, options: RecommendOptions = {}): Promise<Recommendation> {
  const { device = 'auto', task = 'chat', contextLength } = options;
  const memory = options.memory ?? Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const preferences = PREFERENCES[task];
  if (preferences === undefined) {
    throw new AoError('ERR_AO_CONFIG', `unknown task '${task}'`, {
      fix: `tasks: ${Object.keys(PREFERENCES).join(', ')}`,
    });
  }
  const { outline } = await AutoConfig.fromPretrained(name, options);
  const head = outline.parameters.find((p) => p.output)?.name ?? Object.keys(outline.tied)[0];
  const considered: Considered[] = [];
  const runtime = options.runtime ?? (await autoRuntime({ device }));
  try {
    for (const { scheme, head: ofHead, because } of preferences) {
      const config = fqnToConfig([
        ...(head === undefined ? [] : [[moduleOf(head), parseScheme(ofHead)] as const]),
        ['_default', parseScheme(scheme)],
      ]);
      const quantizationConfig = torchAoConfig(config);
      let found: Awaited<ReturnType<typeof estimate>>;
      try {
        const schemes = { [scheme]: quantizationConfig };
        const context = contextLength === undefined ? {} : { contextLength };
        found = await estimate(name, { ...options, ...context, schemes, runtime });
      } catch (error) {
        // a group that divides no row of this model's; what else is wrong with the model is wrong with every scheme
        if (!isAoError(error) || !/multiple of the group size/.test(error.message)) throw error;
        considered.push({ scheme, totalBytes: null, why: 'its groups do not divide this model’s rows' });
        continue;
      }
      const totals = Object.entries(found.schemes[0]!.totalBytes);
      const [kvCache, totalBytes] =
        totals.find(([, n]) => n <= memory) ?? totals.reduce((a, b) => (b[1] < a[1] ? b : a));
      if (totalBytes > memory) {
        considered.push({ scheme, totalBytes, why: `it needs ${gigabytes(totalBytes)}` });
        continue;
      }
      considered.push({ scheme, totalBytes });
      const reasons = [
        `${scheme}: ${because}`,
        `${gigabytes(totalBytes)} of ${gigabytes(memory)} with ${found.contextLength} tokens of context, kvCache '${kvCache}'`,
        ...considered.flatMap((c) => (c.why === undefined ? [] : [`not ${c.scheme}: ${c.why}`])),
      ];
      const file = configToFile(config, runtime);
      return { scheme, config, quantizationConfig, file, totalBytes, memory, kvCache, reasons, considered };
    }
  } finally {
    if (!options.runtime) await runtime.close();
  }
  const least = Math.min(...considered.flatMap((c) => c.totalBytes ?? []));
  throw new AoError('ERR_AO_MEMORY', `no scheme fits ${gigabytes(memory)}; the smallest needs ${gigabytes(least)}`, {
    fix: 'give a shorter contextLength or more memory, take a smaller model, or mix schemes to fewer bits with targetBpw',
  });
}

const gigabytes = (n: number): string => `${(n / 1e9).toFixed(2)} GB`;
