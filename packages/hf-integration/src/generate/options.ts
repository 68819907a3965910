// GenerateOptions -> Sampling: every option checked before any work, defaults from the model's generation config.
import { AoError } from '@ao/core';
import type { GenerationConfig } from '../config/generation-config.ts';
import { CACHE_FORMATS, isCacheFormat, type KVCacheFormat } from '../models/cache-layout.ts';
import { type LogitInput, type LogitRules, resolveLogits } from './logit-options.ts';
import { checkResponseFormat, type ResponseFormat } from './response-format.ts';

export interface GenerateOptions extends LogitInput {
  /** Most new tokens. Default: what the context has room for. */
  readonly maxNewTokens?: number;
  /** false = greedy. Default: true when a temperature above 0, topK, topP or minP is given, else the model's own setting. */
  readonly doSample?: boolean;
  /** 0 = greedy; else logits are divided by it. */
  readonly temperature?: number;
  /** Sample among the k likeliest only. */
  readonly topK?: number;
  /** Sample among the likeliest whose probabilities add up to p. */
  readonly topP?: number;
  /** Sample among those at least p times as likely as the likeliest. */
  readonly minP?: number;
  /** Texts of each prompt, sampled with seeds of their own; makes the result a list, those of one prompt side by side. */
  readonly numReturnSequences?: number;
  /** Of each new token its log-probability; a number: those of the k likeliest too. */
  readonly logprobs?: boolean | number;
  /** The text keeps to a format: JSON, JSON of a schema, a pattern. It ends by itself, within maxNewTokens. */
  readonly responseFormat?: ResponseFormat;
  /** Equal seeds give equal texts, on every backend; sequence i of several draws with seed + i. Default 0. */
  readonly seed?: number;
  /** The text ends before the first of these. */
  readonly stopStrings?: readonly string[];
  /** Ids that end the text. Default: the model's. */
  readonly eosTokenId?: number | readonly number[];
  /** Run on to maxNewTokens whatever the model says. */
  readonly ignoreEos?: boolean;
  /** 'static': one preallocated cache and one captured step (default). 'dynamic': eager steps over the same cache. */
  readonly cacheImplementation?: 'static' | 'dynamic';
  /**
   * What keys and values are kept in. 'auto' = as the model computes them (default); 'bf16' halves float32's bytes, 'int8' those of
   * bf16, 'int4' those of int8. '-asym' takes 4 bytes more a row and suits keys whose values lie on one side.
   */
  readonly kvCache?: KVCacheFormat;
  readonly signal?: AbortSignal;
}

export interface Sampling {
  readonly maxNewTokens: number | undefined;
  /** 0 = greedy. */
  readonly temperature: number;
  readonly topK: number | undefined;
  readonly topP: number | undefined;
  readonly minP: number | undefined;
  readonly numReturnSequences: number;
  /** The likeliest whose log-probabilities are asked beside the chosen one's; undefined = none at all. */
  readonly logprobs: number | undefined;
  readonly logits: LogitRules | undefined;
  readonly responseFormat: ResponseFormat | undefined;
  readonly seed: number;
  readonly stopStrings: readonly string[];
  readonly eosTokenIds: ReadonlySet<number>;
  readonly cacheImplementation: 'static' | 'dynamic';
  readonly kvCache: KVCacheFormat;
}

export function resolveSampling(options: GenerateOptions, defaults: GenerationConfig): Sampling {
  const { maxNewTokens, temperature, topK, topP, seed = 0, stopStrings = [], eosTokenId } = options;
  if (maxNewTokens !== undefined) check('maxNewTokens', maxNewTokens, isCount(maxNewTokens), 'a whole number from 1');
  if (temperature !== undefined)
    check('temperature', temperature, temperature >= 0 && temperature < Infinity, '0 or more');
  if (topK !== undefined) check('topK', topK, isCount(topK), 'a whole number from 1');
  if (topP !== undefined) check('topP', topP, topP > 0 && topP <= 1, 'above 0 and at most 1');
  const { minP, numReturnSequences = 1, logprobs = false, responseFormat } = options;
  if (minP !== undefined) check('minP', minP, minP >= 0 && minP <= 1, 'from 0 to 1');
  check('numReturnSequences', numReturnSequences, isCount(numReturnSequences), 'a whole number from 1');
  check(
    'logprobs',
    logprobs,
    typeof logprobs === 'boolean' || (Number.isInteger(logprobs) && logprobs >= 0),
    'true, or how many of the likeliest to tell',
  );
  checkResponseFormat(responseFormat);
  check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number from 0');
  check(
    'stopStrings',
    stopStrings,
    stopStrings.every((s) => typeof s === 'string' && s !== ''),
    'strings of one character or more',
  );
  const eos = eosTokenId === undefined ? defaults.eosTokenIds : [eosTokenId].flat();
  check(
    'eosTokenId',
    eos,
    eos.every((id) => Number.isInteger(id) && id >= 0),
    'token ids',
  );
  const cacheImplementation = options.cacheImplementation ?? 'static';
  check(
    'cacheImplementation',
    cacheImplementation,
    ['static', 'dynamic'].includes(cacheImplementation),
    "'static' or 'dynamic'",
  );
  const kvCache = options.kvCache ?? 'auto';
  const formats = CACHE_FORMATS.map((name) => `'${name}'`).join(', ');
  check('kvCache', kvCache, isCacheFormat(kvCache), `${formats}, or { keys, values } of these`);
  const asked = (temperature ?? 0) > 0 || topK !== undefined || topP !== undefined || minP !== undefined;
  const doSample = options.doSample ?? (temperature === 0 ? false : asked || defaults.doSample);
  check(
    'numReturnSequences',
    numReturnSequences,
    doSample || numReturnSequences === 1,
    '1 without sampling, as all would be equal: set temperature',
  );
  return {
    maxNewTokens,
    temperature: doSample ? temperature || defaults.temperature : 0,
    topK: doSample ? (topK ?? defaults.topK) : undefined,
    topP: doSample ? (topP ?? defaults.topP) : undefined,
    minP: doSample ? (minP ?? defaults.minP) : undefined,
    numReturnSequences,
    logprobs: logprobs === false ? undefined : Number(logprobs === true ? 0 : logprobs),
    logits: resolveLogits(options, defaults),
    responseFormat,
    seed,
    stopStrings,
    eosTokenIds: new Set(options.ignoreEos ? [] : eos),
    cacheImplementation,
    kvCache,
  };
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1;
}

function check(name: string, value: unknown, ok: boolean, wanted: string): void {
  if (ok) return;
  throw new AoError('ERR_AO_CONFIG', `generate: ${name} is ${JSON.stringify(value)}; it must be ${wanted}`, {
    op: 'generate',
  });
}
