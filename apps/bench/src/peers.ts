// Where peers and their models lie: $AO_CACHE, by default .cache/ao-peers in the home folder. All of it is optional.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const CACHE = process.env['AO_CACHE'] ?? join(homedir(), '.cache', 'ao-peers');

export const PEERS = {
  llama: join(CACHE, 'node', 'node_modules', 'node-llama-cpp', 'dist', 'index.js'),
  smollm2: join(CACHE, 'smollm2'),
  smollm2Q4: join(CACHE, 'smollm2', 'smollm2.Q4_0.gguf'),
  smollm2Q8: join(CACHE, 'smollm2', 'smollm2.Q8_0.gguf'),
  smollm2BF16: join(CACHE, 'smollm2', 'smollm2.BF16.gguf'),
} as const;

/** The reason why a comparison cannot run; undefined when it can. */
export function missing(...paths: readonly string[]): string | undefined {
  const absent = paths.filter((path) => !existsSync(path));
  return absent.length === 0 ? undefined : `not there: ${absent.join(', ')} (AO_CACHE names the folder)`;
}
