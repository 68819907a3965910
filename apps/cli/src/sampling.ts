// The flags of `ao generate` and `ao chat` that say how tokens are chosen, and the options of model.generate that they stand for.
import { readFile } from 'node:fs/promises';
import type { GenerateOptions } from '@ao/hf-integration';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from './exit.ts';

export interface SamplingFlags {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly norepeatNgramSize?: number;
  readonly logitBias?: Readonly<Record<number, number>>;
  readonly minTokens?: number;
  readonly sequences?: number;
  readonly logprobs?: number | boolean;
  readonly jsonSchema?: string;
  readonly jsonObject?: boolean;
  readonly pattern?: string;
}

const real = (text: string): number => {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It must be a number.');
};

const whole = (text: string): number => {
  const value = real(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError('It must be a whole number of at least 0.');
};

const bias = (text: string, all: Readonly<Record<number, number>> = {}): Readonly<Record<number, number>> => {
  const [id = '', value = '', ...rest] = text.split('=');
  if (rest.length > 0 || value === '') throw new InvalidArgumentError('It must be ID=NUMBER, or ID=-inf to forbid it.');
  return { ...all, [whole(id)]: value === '-inf' ? Number.NEGATIVE_INFINITY : real(value) };
};

/** What `generate` knows besides samplingFlags. */
export const sequenceFlags = (command: Command): Command =>
  command
    .option('--sequences <n>', 'texts of each prompt, with seeds of their own', whole)
    .option('--logprobs [k]', 'with --json: log-probabilities of the tokens, and of the k likeliest', whole);

export function samplingFlags(command: Command): Command {
  return command
    .option('--temperature <t>', '0 = greedy', real)
    .option('--top-k <k>', 'sample among the k likeliest', whole)
    .option('--top-p <p>', 'sample among the likeliest that add up to p', real)
    .option('--min-p <p>', 'sample among those at least p times as likely as the likeliest', real)
    .option('--seed <n>', 'equal seeds give equal texts', whole)
    .option('--repetition-penalty <x>', 'above 1: what the text holds already becomes less likely', real)
    .option('--presence-penalty <x>', 'taken from the logit of each token chosen so far', real)
    .option('--frequency-penalty <x>', 'the same, once for each time it was chosen', real)
    .option('--norepeat-ngram-size <n>', 'no n tokens in a row come twice', whole)
    .option('--logit-bias <id=x>', 'added to the logit of a token; -inf forbids it; repeatable', bias)
    .option('--min-tokens <n>', 'no end before so many new tokens', whole)
    .addOption(new Option('--json-schema <file>', 'the text is JSON that this schema allows'))
    .addOption(new Option('--json-object', 'the text is a JSON object').conflicts('jsonSchema'))
    .addOption(
      new Option('--pattern <regex>', 'the text matches this as a whole').conflicts(['jsonSchema', 'jsonObject']),
    );
}

export async function samplingOptions(flags: SamplingFlags): Promise<GenerateOptions> {
  const { temperature, topK, topP, minP, seed, repetitionPenalty, presencePenalty, frequencyPenalty } = flags;
  const options = {
    temperature,
    topK,
    topP,
    minP,
    seed,
    repetitionPenalty,
    presencePenalty,
    frequencyPenalty,
    logitBias: flags.logitBias,
    noRepeatNgramSize: flags.norepeatNgramSize,
    minNewTokens: flags.minTokens,
    numReturnSequences: flags.sequences,
    logprobs: flags.logprobs,
    responseFormat: await responseFormat(flags),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

async function responseFormat({
  jsonSchema,
  jsonObject,
  pattern,
}: SamplingFlags): Promise<GenerateOptions['responseFormat']> {
  if (jsonObject) return { type: 'json_object' };
  if (pattern !== undefined) return { type: 'regex', pattern };
  if (jsonSchema === undefined) return undefined;
  try {
    return { type: 'json_schema', schema: JSON.parse(await readFile(jsonSchema, 'utf8')) };
  } catch (error) {
    throw new UsageError(`--json-schema ${jsonSchema}: ${(error as Error).message}`);
  }
}
