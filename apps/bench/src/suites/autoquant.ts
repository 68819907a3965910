// autoquant's plan against the best uniform scheme: decoding with both, in turns, where every layer keeps the same SQNR. The plan
// is made here; eligible are the candidates that, given to every layer, keep the SQNR in each (as analyze measures it). Heats
// between these leave the fastest two for the rounds that count.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime, type CausalLM, idBatches } from '@ao/hf-integration';
import {
  type AoConfig,
  analyze,
  autoquant,
  autoquantCandidates,
  autoquantPlanToJson,
  configToFile,
  finalizeAutoquant,
  fqnToConfig,
  schemeName,
} from '@ao/quantization';
import { interleave } from '../interleave.ts';
import { PEERS } from '../peers/where.ts';
import { median } from '../statistics.ts';
import type { Suite, SuiteOptions } from '../suite.ts';
import { promptOf, startOurs, type TextEngine } from '../text-engine.ts';

const STORIES = fileURLToPath(new URL('../../../stories-7m', import.meta.url));
const READ = 16;
/** Counted rounds of all uniform schemes, and how many of them, the fastest, go on against the plan. */
const HEATS = 1;
const FINALISTS = 2;
/** The plan may be this much slower than the best uniform scheme: measuring one layer at a time is not exact. */
const LEAST = 0.98;

interface Case {
  readonly id: string;
  readonly model: string;
  readonly folder: string;
  readonly minSqnr: number;
  /** Tokens a run: some tens of milliseconds or more. */
  readonly write: number;
}

/** 35 dB asks for 8 bits, 18 dB lets 4 bits in. */
const CASES: readonly Case[] = [35, 18].flatMap((minSqnr) => [
  { id: `autoquant-stories-7m-${minSqnr}`, model: 'stories-7m', folder: STORIES, minSqnr, write: 256 },
  { id: `autoquant-smollm2-${minSqnr}`, model: 'SmolLM2-135M', folder: PEERS.smollm2, minSqnr, write: 32 },
]);

const load = async (folder: string): Promise<CausalLM> =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime: await autoRuntime(), dtype: 'float32' });

async function textIds(folder: string): Promise<number[]> {
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  return tokenizer.encode(await readFile(join(STORIES, 'validation.txt'), 'utf8')).slice(0, 64);
}

/** The plan as a config file, and those of the uniform schemes that keep the SQNR. */
async function contenders({ folder, minSqnr }: Case) {
  const model = await load(folder);
  const ids = await textIds(folder);
  const data = idBatches(model, ids, { window: 64, windows: 1 });
  const { layers } = await analyze(model, data, { candidates: autoquantCandidates(), kl: 'none' });
  const keeps = (config: AoConfig): boolean =>
    layers.every((l) => {
      const found = l.candidates.find((c) => JSON.stringify(c.config) === JSON.stringify(config));
      const embeds = l.tied.length > 0;
      return (
        found !== undefined && Math.min(found.outputSqnr!, embeds ? found.weightSqnr : found.outputSqnr!) >= minSqnr
      );
    });
  const uniform = autoquantCandidates().filter(keeps);
  autoquant(model, { minSqnr, calls: { 1: 1 } });
  for (const batch of data) model.call(batch).dispose();
  const plan = await finalizeAutoquant(model);
  const { rt } = model;
  const everywhere = (config: AoConfig): string => configToFile(fqnToConfig({ lm_head: config, _default: config }), rt);
  const configs = {
    plan: autoquantPlanToJson(plan, rt),
    ...Object.fromEntries(uniform.map((c) => [schemeName(c, rt), everywhere(c)])),
  };
  await rt.close();
  return configs;
}

async function* run(options: SuiteOptions) {
  for (const one of CASES) {
    if (!options.wants(one.id)) continue;
    const head = {
      id: one.id,
      what: `decode ${one.model}, autoquant's plan at ${one.minSqnr} dB`,
      unit: 'tok/s',
      target: { kind: 'ratio', value: LEAST },
    } as const;
    const skipped = one.folder === STORIES ? undefined : options.absent('models');
    if (skipped !== undefined) {
      yield { ...head, skipped };
      continue;
    }
    options.log(`planning ${one.model} at ${one.minSqnr} dB ...`);
    const configs = await contenders(one);
    const room = { threads: options.threads, contextSize: READ + one.write + 8 };
    const engines: TextEngine[] = [];
    try {
      for (const [name, config] of Object.entries(configs))
        engines.push(await startOurs(name, { config }, room, undefined, one.folder));
      if (engines.length === 1) engines.push(await startOurs('bfloat16', {}, room, undefined, one.folder));
      const job = { read: promptOf(READ).map((id) => id % 4096), write: one.write };
      const race = async (racers: readonly TextEngine[], rounds: number): Promise<[string, number[]][]> =>
        Object.entries(await interleave(racers, job, rounds)).map(([name, list]) => [name, list.map((r) => r.decode!)]);
      const [plan, ...uniform] = engines;
      const heats = await race(uniform, HEATS);
      const fastest = heats.toSorted((x, y) => median(y[1]) - median(x[1])).slice(0, FINALISTS);
      const finalists = uniform.filter(({ name }) => fastest.some(([fast]) => fast === name));
      const final = await race([plan!, ...finalists], options.repeats);
      const runs = Object.fromEntries(final);
      const [ours, ...others] = final;
      const best = others.reduce((a, b) => (median(b[1]) > median(a[1]) ? b : a));
      yield { ...head, ours: median(ours![1]), peer: { name: best[0], value: median(best[1]) }, runs };
    } finally {
      for (const engine of engines) engine.stop();
    }
  }
}

export const suite: Suite = { name: 'autoquant', rows: CASES.map(({ id }) => id), run };
