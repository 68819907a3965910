// log(): messages of the runtime and of downloads go to stderr.
export function log({ message }: { readonly message: string }): void {
  process.stderr.write(`ao: ${message}\n`);
}
