// Lines: what is typed, or piped in, line by line. A line that ends with a backslash goes on in the next.
import { createInterface, type Interface } from 'node:readline';

export interface LinesOptions {
  readonly prompt: string;
  /** Newest first. */
  readonly history: readonly string[];
  readonly historySize: number;
  complete(line: string): string[];
  /** Ctrl-C in a terminal, where it is a key and no signal. `empty`: nothing was typed in this line. */
  onInterrupt(empty: boolean): void;
}

export class Lines {
  /** A person types. */
  readonly terminal: boolean;
  /** The lines so far, for the history. */
  readonly typed: string[] = [];
  readonly #readline: Interface;
  readonly #queue: string[] = [];
  #waiting: ((line: string | undefined) => void) | undefined;
  #closed = false;
  #open = '';

  constructor({ prompt, history, historySize, complete, onInterrupt }: LinesOptions) {
    this.terminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
    this.#readline = createInterface({
      input: process.stdin,
      terminal: this.terminal,
      ...(this.terminal ? { output: process.stdout, prompt, history: [...history], historySize } : {}),
      ...(this.terminal ? { completer: (line: string) => [complete(line), line] } : {}),
    });
    this.#readline.on('line', (line) => this.#take(line));
    this.#readline.on('SIGINT', () => {
      const empty = this.#readline.line === '' && this.#open === '';
      this.#open = '';
      onInterrupt(empty);
    });
    this.#readline.on('close', () => {
      this.#closed = true;
      this.#waiting?.(undefined);
    });
  }

  /** The next line; undefined at the end of the input. */
  next(): Promise<string | undefined> {
    const ready = this.#queue.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#closed) return Promise.resolve(undefined);
    this.prompt();
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Shows the prompt and an empty line. */
  prompt(): void {
    if (!this.terminal || this.#closed) return;
    this.#readline.write(null, { ctrl: true, name: 'e' });
    this.#readline.write(null, { ctrl: true, name: 'u' });
    this.#readline.prompt();
  }

  close(): void {
    if (!this.#closed) this.#readline.close();
  }

  #take(text: string): void {
    if (text.endsWith('\\')) {
      this.#open += `${text.slice(0, -1)}\n`;
      return;
    }
    const line = this.#open + text;
    this.#open = '';
    this.typed.push(...line.split('\n').filter((part) => part.trim() !== ''));
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(line);
    else this.#queue.push(line);
  }
}
