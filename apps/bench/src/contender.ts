// A contender: one engine in a process of its own, so that thread pools, memory and crashes of one do not touch the other.
// It speaks lines of JSON: the first line it gets is its setup, which it answers with { ready: INFO }; each further one is a
// job, answered with { done: RESULT }; what fails is { error: MESSAGE }. Other lines on its stdout are ignored.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

type Answer =
  | { readonly ready: Readonly<Record<string, unknown>> }
  | { readonly done: unknown }
  | { readonly error: string };

/** A contender of this folder that runs in Node, on the sources. */
export function nodeCommand(module: string, env: Readonly<Record<string, string>> = {}): Command {
  const file = fileURLToPath(new URL(`./contenders/${module}.ts`, import.meta.url));
  return { file: process.execPath, args: ['--conditions=@ao/source', '--no-warnings', file], env };
}

/** How much of a contender's stderr is told when it fails. */
const TOLD = 2000;

export class Contender<Job = unknown, Result = unknown> {
  readonly name: string;
  #info: Readonly<Record<string, unknown>> = {};
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #stderr = '';

  private constructor(name: string, { file, args, env }: Command) {
    this.name = name;
    this.#child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-TOLD);
    });
    // a process that has ended is told by its answers, which end too
    this.#child.stdin!.on('error', () => {});
    this.#child.on('error', (error) => {
      this.#stderr += error.message;
    });
    this.#child.on('exit', (code, signal) => {
      this.#stderr += signal === null ? ` (exit code ${code})` : ` (signal ${signal})`;
    });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  static async start<Job, Result>(name: string, command: Command, setup: unknown): Promise<Contender<Job, Result>> {
    const contender = new Contender<Job, Result>(name, command);
    try {
      const answer = await contender.#ask(setup);
      if (!('ready' in answer)) throw new Error(`${name}: it did not say that it is ready`);
      contender.#info = answer.ready;
      return contender;
    } catch (error) {
      contender.stop();
      throw error;
    }
  }

  /** What the engine says about itself. */
  get info(): Readonly<Record<string, unknown>> {
    return this.#info;
  }

  async run(job: Job): Promise<Result> {
    const answer = await this.#ask(job);
    if ('done' in answer) return answer.done as Result;
    throw new Error(`${this.name}: it gave no result`);
  }

  stop(): void {
    this.#child.stdin!.end();
    this.#child.kill();
  }

  async #ask(message: unknown): Promise<Exclude<Answer, { error: string }>> {
    this.#child.stdin!.write(`${JSON.stringify(message)}\n`);
    for (;;) {
      const { value, done } = await this.#answers.next();
      if (done) throw new Error(`${this.name}: its process ended. ${this.#stderr.trim()}`);
      const answer = parse(value);
      if (answer === undefined) continue;
      if ('error' in answer) throw new Error(`${this.name}: ${answer.error}`);
      return answer;
    }
  }
}

function parse(line: string): Answer | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const answer = JSON.parse(line) as Answer;
    return 'ready' in answer || 'done' in answer || 'error' in answer ? answer : undefined;
  } catch {
    return undefined;
  }
}
