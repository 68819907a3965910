// A terminal that a test types into and reads: tmux with a server of its own, so that keys, raw mode and bars are real ones.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BIN = fileURLToPath(new URL('../bin/ao.mjs', import.meta.url));

/** Why there is no terminal to test in; undefined where there is one. */
export function noTerminal(): string | undefined {
  const server = ['-L', `ao-probe-${process.pid}`];
  try {
    execFileSync('tmux', [...server, 'new-session', '-d', 'sleep 5'], { stdio: 'pipe' });
    execFileSync('tmux', [...server, 'kill-server'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer };
    if (code === 'ENOENT') return 'tmux is not installed (apt-get install tmux)';
    return `tmux cannot open a terminal here: ${String(stderr).trim()} (it needs /dev/null and /dev/ptmx to be devices)`;
  }
}

export class Terminal {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts `ao ARGS` in a window of 100 columns and 40 rows. */
  static async start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Terminal> {
    const terminal = new Terminal(await mkdtemp(join(tmpdir(), 'ao-tmux-')));
    const config = join(terminal.#folder, 'tmux.conf');
    await writeFile(config, 'set -g default-terminal screen\nset -s escape-time 0\n');
    const vars = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    const size = ['-x', '100', '-y', '40'];
    // the window stays and tells the exit code
    const command = [
      'sh',
      '-c',
      'trap : INT; "$@"; echo "[code $?]"; exec sleep 600',
      'sh',
      process.execPath,
      BIN,
      ...args,
    ];
    await terminal.#tmux('-f', config, 'new-session', '-d', '-s', 'ao', ...size, ...vars, ...command);
    return terminal;
  }

  /** Text as it is typed. */
  async type(text: string): Promise<void> {
    await this.#tmux('send-keys', '-t', 'ao', '-l', text);
  }

  /** Keys by tmux's names: Enter, C-c, Up, Tab. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#tmux('send-keys', '-t', 'ao', ...keys);
  }

  async enter(text: string): Promise<void> {
    await this.type(text);
    await this.press('Enter');
  }

  /** What the window shows. */
  async screen(): Promise<string> {
    return this.#tmux('capture-pane', '-p', '-t', 'ao');
  }

  /** The screen once it matches. */
  async until(pattern: RegExp, seconds = 30): Promise<string> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const screen = await this.screen();
      if (pattern.test(screen)) return screen;
      if (Date.now() > end) throw new Error(`${pattern} did not appear within ${seconds} s:\n${screen}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The exit code, once the program has ended. */
  async ended(): Promise<number> {
    return Number(/\[code (\d+)\]/.exec(await this.until(/\[code \d+\]/))![1]);
  }

  async close(): Promise<void> {
    await this.#tmux('kill-server').catch(() => {});
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #tmux(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('tmux', ['-S', join(this.#folder, 'socket'), ...args]);
    return stdout;
  }
}
