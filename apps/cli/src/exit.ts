// Exit codes, and how a failure is told: on stderr, in one sentence with its fix; the stack only with AO_DEBUG.
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

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

export function fail(error: unknown): void {
  if (interruption?.signal.aborted) {
    process.stderr.write('ao: interrupted, nothing was left half done\n');
    process.exitCode = EXIT.interrupted;
    return;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const code = (error as { code?: unknown } | null)?.code;
  const known = error instanceof UsageError || (typeof code === 'string' && code.startsWith('ERR_AO_'));
  process.stderr.write(`ao: ${process.env['AO_DEBUG'] || !known ? stack : message}\n`);
  process.exitCode = error instanceof UsageError ? EXIT.usage : EXIT.failed;
}
