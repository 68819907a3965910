// What contenders/training.ts and training.py are asked and answer: steps of the loop on one batch, each forward, backward, clipping and AdamW.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Contender, nodeCommand } from './contender.ts';
import { PEERS } from './peers/where.ts';

export interface TrainingSetup {
  readonly model: string;
  readonly threads: number;
  /** What products are computed in, under autocast; parameters are float32. */
  readonly dtype: 'float32' | 'bfloat16';
  readonly rows: number;
  readonly tokens: number;
  /** rows x (tokens + 1) ids. */
  readonly ids: readonly number[];
}

export interface TrainingJob {
  readonly steps: number;
}

export interface TrainingResult {
  readonly tokensPerSecond: number;
  /** Of each step, in nats a token. */
  readonly losses: readonly number[];
}

export type TrainingEngine = Contender<TrainingJob, TrainingResult>;

export const STORIES = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));

export const startTraining = (name: string, setup: TrainingSetup): Promise<TrainingEngine> =>
  Contender.start(name, nodeCommand('training', { AO_NUM_THREADS: String(setup.threads) }), setup);

export function startTorchTraining(name: string, setup: TrainingSetup): Promise<TrainingEngine> {
  const threads = String(setup.threads);
  const env = { OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads };
  const file = fileURLToPath(new URL('./contenders/training.py', import.meta.url));
  return Contender.start(name, { file: PEERS.python, args: [file], env }, setup);
}
