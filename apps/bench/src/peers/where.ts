// Where peers and their models lie: $AO_CACHE, by default .cache/ao-peers in the home folder; `pnpm bench peers` fills it.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { PeerName } from '../suite.ts';

export const CACHE = process.env['AO_CACHE'] ?? join(homedir(), '.cache', 'ao-peers');

const smollm2 = join(CACHE, 'smollm2');
const modules = join(CACHE, 'node', 'node_modules');

export const PEERS = {
  llama: join(modules, 'node-llama-cpp', 'dist', 'index.js'),
  ort: join(modules, 'onnxruntime-node'),
  python: join(CACHE, 'py', 'bin', 'python'),
  smollm2,
  smollm2Q4: join(smollm2, 'smollm2.Q4_0.gguf'),
  smollm2Q8: join(smollm2, 'smollm2.Q8_0.gguf'),
  smollm2BF16: join(smollm2, 'smollm2.BF16.gguf'),
} as const;

export type Part = PeerName | 'models';

/** What must be there for each part. */
const FILES: Readonly<Record<Part, readonly string[]>> = {
  llama: [PEERS.llama],
  ort: [join(PEERS.ort, 'package.json')],
  torchao: [PEERS.python, join(CACHE, 'py', 'bin', 'torchrun')],
  models: [join(smollm2, 'model.safetensors'), PEERS.smollm2Q4, PEERS.smollm2Q8, PEERS.smollm2BF16],
};

export const PARTS = Object.keys(FILES) as readonly Part[];

/** Why a part cannot be used, with the command that brings it; undefined when it is there. */
export function absent(part: Part): string | undefined {
  return FILES[part].every((file) => existsSync(file))
    ? undefined
    : `${part} is not installed: pnpm bench peers ${part}`;
}
