// log(): messages of the runtime and of downloads go to stderr, unless --quiet.
import { settings } from './settings.ts';

export function log({ message }: { readonly message: string }): void {
  if (!settings.quiet) process.stderr.write(`ao: ${message}\n`);
}
