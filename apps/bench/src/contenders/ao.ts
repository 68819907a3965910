// This project's engine: a model folder, quantized while loading where a scheme is given; greedy, ends ignored.
import { readFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Runtime } from '@ao/core';
import {
  AutoConfig,
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  type CausalLM,
  evaluate,
  type Piece,
  rulesConfig,
  type SpeculativeOptions,
  type TorchAoConfig,
  torchAoConfig,
} from '@ao/hf-integration';
import { configFromFile, modelBytes, parseRule, parseScheme } from '@ao/quantization';
import { serve } from '../serve.ts';
import type { Quantized, Speculate, TextJob, TextResult, TextSetup } from '../text-engine.ts';

/** Tokens that generate keeps in flight, and one: after reading these, its steps follow each other without a gap. */
const REFILL = 3;

await serve<TextSetup, TextJob, TextResult>(async ({ model: folder, contextSize, ...quantized }) => {
  const runtime = await autoRuntime();
  const model = await load(runtime, folder, quantized);
  let draft: CausalLM | undefined;
  const greedy = { temperature: 0, ignoreEos: true } as const;
  let open: AsyncIterator<Piece> | undefined;

  async function speculation(asked: Speculate | undefined): Promise<SpeculativeOptions> {
    if (asked === undefined) return {};
    if (asked.draft === undefined) return { promptLookupNumTokens: asked.tokens };
    draft ??= await load(runtime, folder, asked.draft);
    return { assistantModel: draft, numAssistantTokens: asked.tokens };
  }

  async function run(job: TextJob): Promise<TextResult> {
    if ('read' in job) {
      const how = await speculation(job.speculate);
      const result = await model.generate(job.read, { ...greedy, ...how, maxNewTokens: job.write + 1 });
      const { prefillTokensPerSecond: prefill, decodeTokensPerSecond: decode } = result;
      return { prefill, decode, ...(result.speculation ? { acceptance: result.speculation.acceptanceRate } : {}) };
    }
    if ('batch' in job) {
      const results = await model.generate(job.batch, { ...greedy, maxNewTokens: job.write + 1 });
      return { decode: results.reduce((sum, { decodeTokensPerSecond }) => sum + decodeTokensPerSecond, 0) };
    }
    if ('open' in job) {
      await open?.return?.();
      open = model
        .generate(job.open, { ...greedy, maxNewTokens: contextSize - job.open.length })
        [Symbol.asyncIterator]();
      const seconds = await timed(open, 1);
      return { prefill: job.open.length / seconds };
    }
    if ('more' in job) {
      if (open === undefined) throw new Error('more before open');
      await timed(open, REFILL);
      return { decode: job.more / (await timed(open, job.more)) };
    }
    if ('lag' in job) {
      const working = await lag(() => model.generate(job.lag, { ...greedy, maxNewTokens: job.write }));
      return { lag: { working, idle: await lag(() => sleep(1000)) } };
    }
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    const bos = model.origin?.generationConfig.bosTokenId ?? tokenizer.bosTokenId;
    const text = tokenizer.encode(await readFile(job.evaluate, 'utf8'), { addSpecialTokens: false });
    const ids = bos === undefined ? text : [bos, ...text];
    const { evaluate: _, ...windows } = job;
    return { crossEntropy: (await evaluate(model, ids, windows)).crossEntropy };
  }

  const info = { engine: 'ao', weightBytes: modelBytes(model), ...runtime.backend(model.device).info() };
  return { info, run };
});

async function load(runtime: Runtime, folder: string, quantized: Quantized): Promise<CausalLM> {
  const config = await configOf(folder, quantized);
  return AutoModelForCausalLM.fromPretrained(folder, {
    runtime,
    dtype: 'float32',
    ...(config === undefined ? {} : { quantizationConfig: config }),
  });
}

async function configOf(folder: string, { scheme, rules = [], config }: Quantized): Promise<TorchAoConfig | undefined> {
  if (config !== undefined) return torchAoConfig(configFromFile(config));
  const { outline } = await AutoConfig.fromPretrained(folder);
  const parsed = rules.map((rule) => parseRule(rule, parseScheme));
  const rest = scheme === undefined ? null : parseScheme(scheme);
  return rest === null && parsed.length === 0 ? undefined : torchAoConfig(rulesConfig(parsed, rest, outline).config);
}

/** Seconds until so many pieces have come. */
async function timed(pieces: AsyncIterator<Piece>, count: number): Promise<number> {
  const start = performance.now();
  for (let n = 0; n < count; n++) if ((await pieces.next()).done) throw new Error('the context is full');
  return (performance.now() - start) / 1000;
}

/** The 99th percentile of the event loop's delay meanwhile, in ms. */
async function lag(work: () => PromiseLike<unknown>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  return histogram.percentile(99) / 1e6;
}
