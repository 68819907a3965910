// mixedConfig(name, analysis, { targetBpw }): a config for each weight, so that the files have so many bits per weight and the
// model loses as little as can be. What a weight loses is what analyze found, the first of these that it has:
//   KL of the predictions; noise of its outputs over their signal; noise of the weight over its signal
import { AoError, type DType, dtypeBySafetensors, type Runtime } from '@ao/core';
import {
  type Analysis,
  type AoConfig,
  type CandidateResult,
  type Choice,
  type FqnToConfig,
  fqnToConfig,
  mix,
  schemeName,
} from '@ao/quantization';
import { readModelConfig } from '../config/model-config.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { PLAIN, type Storing, storedTensors } from '../files/stored.ts';
import { locateHeaders } from '../hub/locate-headers.ts';
import type { HubOptions } from '../hub/options.ts';
import { familyOf, moduleOf, outlineOf } from '../models/family.ts';
import { bytesOf, elements, FileSizes } from './file-bits.ts';

export interface MixedConfigOptions extends HubOptions {
  /** Bits per weight of the files, headers and unquantized tensors counted. */
  readonly targetBpw: number;
  readonly runtime: Runtime;
}

export interface MixedConfig {
  /** A scheme for every weight that was analyzed; all others stay as they are. */
  readonly config: FqnToConfig;
  /** Of the files that quantizing with this config writes. */
  readonly bitsPerWeight: number;
  readonly bytes: number;
  /** The smallest and largest that these candidates allow. */
  readonly range: readonly [least: number, most: number];
  /** Sum of what the weights lose. */
  readonly cost: number;
  /** How many weights got each scheme. */
  readonly schemes: Readonly<Record<string, number>>;
}

/** Bits per weight that a mix may lie off its target. */
const TOLERANCE = 0.05;

type Value = { readonly config: AoConfig | null; readonly storing: Storing };

/** Rejects with ERR_AO_CONFIG where the candidates cannot come within 0.05 bits of the target. */
export async function mixedConfig(name: string, analysis: Analysis, options: MixedConfigOptions): Promise<MixedConfig> {
  const { targetBpw, runtime } = options;
  const { folder, files } = await locateHeaders(name, options);
  const config = await readModelConfig(folder);
  const all = familyOf(config).outline(config);
  await using checkpoint = await openCheckpoint(folder, all, files);
  const { tensors } = checkpoint;
  const outline = outlineOf(all, (parameter) => tensors.has(parameter));
  if ([...storedTensors(tensors).values()].some((s) => s.type !== PLAIN)) {
    throw new AoError('ERR_AO_CONFIG', `${folder} is quantized already`, {
      fix: 'give the model that it was made from',
    });
  }
  const sizes = new FileSizes(runtime);
  const layers = new Map(analysis.layers.map((layer) => [layer.fqn, layer]));
  const parameters = outline.parameters.reduce((n, p) => n + elements(p.shape), 0);
  const stored = new Map<string, Storing>();
  const choices: { readonly name: string; readonly list: readonly Choice<Value>[] }[] = [];
  for (const { name: fqn, shape, role } of outline.parameters) {
    const dtype: DType = dtypeBySafetensors(tensors.entry(fqn).dtype);
    const weight = { name: fqn, shape, dtype };
    const plain = (await sizes.storing(weight, null))!;
    stored.set(fqn, plain);
    const layer = layers.get(fqn);
    if (layer === undefined || role === 'router' || role === 'vector') continue;
    const list: Choice<Value>[] = [{ value: { config: null, storing: plain }, bytes: bytesOf(plain), cost: 0 }];
    for (const candidate of layer.candidates) {
      const storing = await sizes.storing(weight, candidate.config);
      if (storing === null) continue;
      const value = { config: candidate.config, storing };
      list.push({ value, bytes: bytesOf(storing), cost: costOf(candidate) });
    }
    choices.push({ name: fqn, list });
  }
  if (choices.length === 0) {
    throw new AoError('ERR_AO_CONFIG', 'the analysis names no weight of this model', {
      fix: `analyze this model: ao analyze ${name}`,
    });
  }
  const bpw = (bytes: number): number => (8 * bytes) / parameters;
  const put = (mixed: readonly Choice<Value>[]): number => {
    for (const [i, { name: fqn }] of choices.entries()) stored.set(fqn, mixed[i]!.value.storing);
    return sizes.total(stored);
  };
  const lists = choices.map(({ list }) => list);
  const target = (targetBpw * parameters) / 8;
  const most = put(mix(lists, Number.POSITIVE_INFINITY).chosen);
  let mixed = mix(lists, 0);
  const least = put(mixed.chosen);
  let bytes = least;
  // what the files hold besides the choices' own bytes is learnt from the mix before
  for (let pass = 0; pass < 2; pass++) {
    mixed = mix(lists, target - (bytes - mixed.bytes));
    bytes = put(mixed.chosen);
  }
  if (Math.abs(bpw(bytes) - targetBpw) > TOLERANCE) {
    throw new AoError('ERR_AO_CONFIG', `${targetBpw} bits per weight: the nearest mix has ${bpw(bytes).toFixed(3)}`, {
      fix: `these candidates give ${bpw(least).toFixed(2)} to ${bpw(most).toFixed(2)}: give such a target, or others`,
    });
  }
  const table = choices.map(({ name: fqn }, i) => [moduleOf(fqn), mixed.chosen[i]!.value.config] as const);
  const schemes: Record<string, number> = {};
  for (const [, c] of table) {
    const scheme = c === null ? 'as it is' : schemeName(c, runtime);
    schemes[scheme] = (schemes[scheme] ?? 0) + 1;
  }
  return {
    config: fqnToConfig([...table, ['_default', null]]),
    bitsPerWeight: bpw(bytes),
    bytes,
    range: [bpw(least), bpw(most)],
    cost: mixed.cost,
    schemes,
  };
}

const costOf = ({ kl, outputSqnr, weightSqnr }: CandidateResult): number =>
  kl ?? 10 ** (-(outputSqnr ?? weightSqnr) / 10);
