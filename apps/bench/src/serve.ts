// The contender's end of contender.ts, for those that run in Node.
import { createInterface } from 'node:readline';

export interface Engine<Job, Result> {
  /** What it says about itself: versions, threads, instruction set. */
  readonly info: Readonly<Record<string, unknown>>;
  run(job: Job): Promise<Result>;
}

export async function serve<Setup, Job, Result>(start: (setup: Setup) => Promise<Engine<Job, Result>>): Promise<void> {
  const send = (answer: unknown): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);
  let engine: Engine<Job, Result> | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      if (engine === undefined) {
        engine = await start(JSON.parse(line) as Setup);
        send({ ready: engine.info });
      } else send({ done: await engine.run(JSON.parse(line) as Job) });
    } catch (error) {
      send({ error: error instanceof Error ? error.message : String(error) });
    }
  }
  process.exit(0);
}
