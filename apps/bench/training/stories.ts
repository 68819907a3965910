// writeStories: a corpus that stories-7m writes: texts sampled at temperature 1, each with a seed of its own, as a line of ids each, batch by batch, so that
// it goes on where it was.
import { existsSync } from 'node:fs';
import { appendFile, readFile } from 'node:fs/promises';
import { AutoModelForCausalLM, autoRuntime } from '@ao/hf-integration';

const TOGETHER = 32;

interface Job {
  readonly model: string;
  readonly file: string;
  /** At least so many. */
  readonly tokens: number;
  readonly seed: number;
  readonly deadline: number;
  say(text: string): void;
}

/** False where time ended before. */
export async function writeStories({ model: folder, file, tokens, seed, deadline, say }: Job): Promise<boolean> {
  const lines = existsSync(file) ? (await readFile(file, 'utf8')).split('\n').filter((line) => line.endsWith(']')) : [];
  let have = lines.reduce((n, line) => n + (JSON.parse(line) as number[]).length, 0);
  if (have >= tokens) return true;
  const runtime = await autoRuntime();
  const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32' });
  try {
    for (let round = lines.length / TOGETHER; have < tokens; round++) {
      if (performance.now() > deadline) return false;
      const began = performance.now();
      const texts = await model.generate([0], {
        ...{ temperature: 1, maxNewTokens: model.maxPositions - 1, numReturnSequences: TOGETHER },
        seed: seed + round * TOGETHER,
      });
      const made = texts.map(({ ids }) => ids.filter((id) => id !== 0));
      const count = made.reduce((n, ids) => n + ids.length, 0);
      await appendFile(file, made.map((ids) => `${JSON.stringify(ids)}\n`).join(''));
      have += count;
      say(`stories: ${have} of ${tokens} tokens, ${Math.round((1000 * count) / (performance.now() - began))} a second`);
    }
    return true;
  } finally {
    await runtime.close();
  }
}
