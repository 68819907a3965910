// A contender: one engine with one model in a process of its own, asked over IPC to run once and say how fast it was.
// A process each, so that thread pools, memory and crashes of one do not touch the other.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Setup {
  readonly model: string;
  readonly threads: number;
  readonly scheme?: string;
  readonly rules?: readonly string[];
  readonly contextSize: number;
}

export interface Job {
  readonly promptIds: readonly number[];
  readonly newTokens: number;
}

export interface Speed {
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
}

/** What a contender's process serves: see contenders/*.ts. */
export interface Engine {
  readonly info: Readonly<Record<string, unknown>>;
  run(job: Job): Promise<Speed>;
}

type Answer =
  | { readonly ready: Readonly<Record<string, unknown>> }
  | { readonly speed: Speed }
  | { readonly error: string };

/** Called by the contender's own process. */
export async function serve(start: (setup: Setup) => Promise<Engine>): Promise<void> {
  const send = (answer: Answer): void => void process.send?.(answer);
  const failed = (error: unknown): void => send({ error: error instanceof Error ? error.message : String(error) });
  let engine: Engine | undefined;
  process.on('message', (message: Setup | Job) => {
    const step = async (): Promise<void> => {
      if ('model' in message) {
        engine = await start(message);
        send({ ready: engine.info });
      } else if (engine) send({ speed: await engine.run(message) });
    };
    step().catch(failed);
  });
  process.on('disconnect', () => process.exit(0));
}

/** The other end: starts the process and talks to it. */
export class Contender {
  readonly name: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly #child: ChildProcess;

  private constructor(name: string, child: ChildProcess, info: Readonly<Record<string, unknown>>) {
    this.name = name;
    this.info = info;
    this.#child = child;
  }

  static async start(name: string, module: string, setup: Setup): Promise<Contender> {
    const file = fileURLToPath(new URL(`./contenders/${module}.ts`, import.meta.url));
    const env = { ...process.env, AO_NUM_THREADS: String(setup.threads) };
    const child = fork(file, {
      execArgv: ['--conditions=@ao/source'],
      env,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    try {
      const answer = await ask(child, setup);
      if (!('ready' in answer)) throw new Error('it did not start');
      return new Contender(name, child, answer.ready);
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  async run(job: Job): Promise<Speed> {
    const answer = await ask(this.#child, job);
    if ('speed' in answer) return answer.speed;
    throw new Error(`${this.name} gave no speed`);
  }

  stop(): void {
    this.#child.disconnect();
  }
}

function ask(child: ChildProcess, message: Setup | Job): Promise<Exclude<Answer, { error: string }>> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void): void => {
      child.off('message', onMessage);
      child.off('exit', onExit);
      then();
    };
    const onMessage = (answer: Answer): void =>
      settle(() => ('error' in answer ? reject(new Error(answer.error)) : resolve(answer)));
    const onExit = (code: number | null): void =>
      settle(() => reject(new Error(`its process ended with code ${code}`)));
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(message);
  });
}
