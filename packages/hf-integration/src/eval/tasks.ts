// evaluateTask(model, tokenizer, task, documents): a task of lm-evaluation-harness on documents with the columns of its data set
// on the hub; the figures have the harness's names and definitions, without examples before the question (num_fewshot 0).
import { AoError } from '@ao/core';
import { Fields } from '../config/fields.ts';
import type { Json } from '../config/read-json.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { OnProgress } from '../progress.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { hellaswag } from './hellaswag.ts';
import { LogLikelihood } from './log-likelihood.ts';
import { TextLikelihood } from './text-likelihood.ts';
import { wikitext } from './wikitext.ts';

export interface Task {
  readonly name: string;
  /** Of its documents. */
  readonly columns: readonly string[];
  /** Takes documents one after the other, then gives the figures of all. */
  start(): {
    take(doc: Fields, model: TextLikelihood): Promise<void>;
    figures(): Readonly<Record<string, number>>;
  };
}

const TASKS: readonly Task[] = [hellaswag, wikitext];

export const taskNames = (): readonly string[] => TASKS.map(({ name }) => name);

export interface EvaluateTaskOptions {
  /** Most ids that are read at a time; the model's positions unless given. */
  readonly maxLength?: number;
  /** Documents at most. */
  readonly limit?: number;
  /** What errors call the documents. */
  readonly where?: string;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface TaskResult {
  readonly task: string;
  readonly documents: number;
  /** hellaswag: acc, acc_norm; wikitext: word_perplexity, byte_perplexity, bits_per_byte. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Rejects with ERR_AO_CONFIG for tasks that are not known and documents without the task's columns. */
export async function evaluateTask(
  model: CausalLM,
  tokenizer: Tokenizer,
  name: string,
  documents: readonly Json[],
  options: EvaluateTaskOptions = {},
): Promise<TaskResult> {
  const { maxLength = model.maxPositions, where = 'document', limit, signal, onProgress } = options;
  const task = TASKS.find((t) => t.name === name);
  if (task === undefined) {
    throw new AoError('ERR_AO_CONFIG', `unknown task '${name}'`, { fix: `tasks: ${taskNames().join(', ')}` });
  }
  if (!Number.isInteger(maxLength) || maxLength < 1 || maxLength > model.maxPositions) {
    throw new AoError('ERR_AO_CONFIG', `maxLength is ${maxLength}, the model has ${model.maxPositions} positions`, {
      fix: `give a whole number from 1 to ${model.maxPositions}`,
    });
  }
  const total = Math.min(limit ?? documents.length, documents.length);
  if (total === 0) {
    throw new AoError('ERR_AO_CONFIG', `${where}: there are no documents`, {
      fix: `give objects with ${task.columns.join(', ')}`,
    });
  }
  const run = task.start();
  using scorer = await LogLikelihood.of(model);
  const texts = new TextLikelihood(scorer, tokenizer, maxLength);
  for (let i = 0; i < total; i++) {
    signal?.throwIfAborted();
    await run.take(new Fields(documents[i]!, `${where} ${i + 1}`), texts);
    onProgress?.({ phase: 'eval', loaded: i + 1, total });
  }
  return { task: name, documents: total, figures: run.figures() };
}

/** Documents of a JSONL file's text: one object a line; throws ERR_AO_FORMAT naming the line. */
export function documentsOf(text: string, where: string): Json[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (cause) {
      throw new AoError('ERR_AO_FORMAT', `${where}:${i + 1} is no JSON: ${(cause as Error).message}`, {
        fix: 'give one object a line (JSONL)',
        cause,
      });
    }
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return [json as Json];
    throw new AoError('ERR_AO_FORMAT', `${where}:${i + 1} is no object`, { fix: 'give one object a line (JSONL)' });
  });
}
