// Exit codes, and how a failure is told: on stderr, in one line with its fix; with --verbose its stack and causes.
import { inspect } from 'node:util';
import { paint } from './color.ts';
import { oneLine } from './one-line.ts';
import { settings } from './settings.ts';

export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export const EXIT_CODES = 'Exit codes: 0 done, 1 it could not be done, 2 wrong use, 130 interrupted.';

/** A wrong use that arguments alone show; ends with code 2. */
export class UsageError extends Error {}

let interruption: AbortController | undefined;

/** Aborted by the first Ctrl-C, so that files are whole or absent; the second ends the process at once. */
export function interruptSignal(): AbortSignal {
  if (interruption) return interruption.signal;
  const controller = new AbortController();
  interruption = controller;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted);
      controller.abort(new Error(name));
    });
  }
  return controller.signal;
}

/** One line on stderr. */
export function tell(message: string): void {
  process.stderr.write(`${paint('ao:', 'red')} ${oneLine(message)}\n`);
}

export function fail(error: unknown): void {
  if (interruption?.signal.aborted) {
    process.stderr.write('ao: interrupted, nothing was left half done\n');
    process.exitCode = EXIT.interrupted;
    return;
  }
  if (settings.verbose) process.stderr.write(`${paint('ao:', 'red')} ${inspect(error)}\n`);
  else tell(messageOf(error));
  process.exitCode = error instanceof UsageError ? EXIT.usage : EXIT.failed;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const known = error instanceof UsageError || typeof (error as { code?: unknown }).code === 'string';
  return known ? error.message : `${error}. Fix: run it again with --verbose and report what that prints.`;
}
