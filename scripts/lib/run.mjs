// Starts a command and waits for it, either showing its output or keeping it for the log.
import { spawn, spawnSync } from 'node:child_process';
import { environment, root } from './checkout.mjs';

/**
 * @typedef {{ code: number, output: string }} Result
 * @typedef {{ cwd?: string, env?: NodeJS.ProcessEnv, show?: 'stdout' | 'stderr' | undefined }} Options
 */

/**
 * Output goes to `show` as it comes, and comes back as one string in any case.
 * @param {string} command @param {readonly string[]} args @param {Options} [options] @returns {Promise<Result>}
 */
export function run(command, args, { cwd = root, env = {}, show } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: environment({ NO_COLOR: '1', ...env }),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 1_200_000, // nothing here takes 20 minutes: what does hangs
    });
    /** @type {Buffer[]} */
    const chunks = [];
    /** @param {Buffer} chunk */
    const take = (chunk) => {
      chunks.push(chunk);
      if (show) process[show].write(chunk);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => resolve({ code: 127, output: `${command}: ${error.message}\n` }));
    child.on('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString() }));
  });
}

/** Hands the terminal to a command: same input, output, signals and exit code.
 * @param {string} command @param {readonly string[]} args @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options] */
export function become(command, args, { cwd = process.cwd(), env = {} } = {}) {
  const child = spawn(command, args, { cwd, env: environment(env), stdio: 'inherit' });
  // Ctrl-C reaches the child by the terminal; this process waits for it to end in its own way.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('error', (error) => {
    console.error(`${command}: ${error.message}`);
    process.exitCode = 127;
  });
  child.on('close', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
}

/** @param {string} command @param {readonly string[]} [args] */
export const works = (command, args = ['--version']) =>
  spawnSync(command, args, { env: environment(), stdio: 'ignore' }).status === 0;
