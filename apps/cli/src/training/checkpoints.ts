// Checkpoints of a run: folders `checkpoint-<step>` in the output folder, each a model that loads and, beside it, what training goes on with. A
// folder has its name only when it is whole.
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile, openFile } from '@ao/hf-integration';
import { type CheckpointParts, loadCheckpoint, saveCheckpoint, type TrainingState } from '@ao/train';
import { UsageError } from '../exit.ts';

const STATE = 'training.safetensors';

/** The folder that --resume-from-checkpoint means. */
export async function checkpointFolder(asked: string | true, outputDir: string): Promise<string> {
  if (asked !== true) {
    if (existsSync(join(asked, STATE))) return asked;
    throw new UsageError(`--resume-from-checkpoint ${asked} has no ${STATE}: give a checkpoint-N folder of ao train`);
  }
  const names = existsSync(outputDir) ? await readdir(outputDir) : [];
  const steps = names.flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  if (steps.length > 0) return join(outputDir, `checkpoint-${Math.max(...steps)}`);
  throw new UsageError(`--resume-from-checkpoint: ${outputDir} holds no checkpoint-N`);
}

/** Writes the model by `saveModel`, then the state, then gives the folder its name. */
export async function writeCheckpoint(
  outputDir: string,
  saveModel: (folder: string) => Promise<void>,
  parts: CheckpointParts,
  state: TrainingState,
): Promise<void> {
  const folder = join(outputDir, `checkpoint-${state.step}`);
  const temporary = join(outputDir, `.checkpoint-${state.step}.tmp`);
  await rm(temporary, { recursive: true, force: true });
  await saveModel(temporary);
  await saveCheckpoint(await createFile(join(temporary, STATE)), parts, state);
  await rm(folder, { recursive: true, force: true });
  await rename(temporary, folder);
}

export async function readCheckpoint(folder: string, parts: CheckpointParts): Promise<TrainingState> {
  const file = await openFile(join(folder, STATE));
  try {
    return await loadCheckpoint(file, parts);
  } finally {
    await file.close();
  }
}
