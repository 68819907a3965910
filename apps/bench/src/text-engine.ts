// What engines that read and write text are asked and answer: contenders/ao.ts, llama.ts, torchao.py.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KVCacheFormat } from '@ao/hf-integration';
import { Contender, nodeCommand } from './contender.ts';
import { CACHE, PEERS } from './peers/where.ts';

export interface TextSetup {
  readonly model: string;
  readonly threads: number;
  /** Positions that the engine makes room for. */
  readonly contextSize: number;
  /** Texts that go on at once; 1 unless given. */
  readonly sequences?: number;
  readonly scheme?: string;
  readonly rules?: readonly string[];
  /** The text of a config file, instead of a scheme and rules. */
  readonly config?: string;
}

export type TextJob =
  /** Read a prompt and write so many tokens, afresh. Ours alone speculates. */
  | { readonly read: readonly number[]; readonly write: number; readonly speculate?: Speculate }
  /** Write so many tokens in each of several texts at once, afresh; decode is their sum. */
  | { readonly batch: readonly (readonly number[])[]; readonly write: number }
  /** Read a prompt and stay in it ... */
  | { readonly open: readonly number[] }
  /** ... then write more, each time from where the last ended. */
  | { readonly more: number }
  /** The longest that the event loop waits in 99 of 100 turns while reading and writing, and while idle. Ours only. */
  | { readonly lag: readonly number[]; readonly write: number }
  /** Cross entropy of a text, in nats per token: so many windows of 512 tokens unless told. Ours only. */
  | { readonly evaluate: string; readonly windows: number; readonly window?: number; readonly kvCache?: KVCacheFormat };

/** So many guesses a call: by prompt lookup, or by the same model in another scheme. */
export interface Speculate {
  readonly tokens: number;
  readonly draft?: Quantized;
}

/** Tokens per second, nats per token, ms; what the job does not have is absent. */
export interface TextResult {
  readonly prefill?: number;
  readonly decode?: number;
  /** Of the guesses. */
  readonly acceptance?: number;
  readonly crossEntropy?: number;
  readonly lag?: { readonly working: number; readonly idle: number };
}

export type TextEngine = Contender<TextJob, TextResult>;

export type Quantized = Pick<TextSetup, 'scheme' | 'rules' | 'config'>;

export type Room = Pick<TextSetup, 'threads' | 'contextSize' | 'sequences'>;

export function startOurs(
  name: string,
  quantized: Quantized,
  room: Room,
  isa?: string,
  model = PEERS.smollm2,
): Promise<TextEngine> {
  const env = { AO_NUM_THREADS: String(room.threads), ...(isa === undefined ? {} : { AO_ISA: isa }) };
  const setup: TextSetup = { ...room, model, ...quantized };
  return Contender.start(name, nodeCommand('ao', env), setup);
}

export function startLlama(
  name: string,
  model: string,
  room: Room,
  env: Readonly<Record<string, string>> = {},
): Promise<TextEngine> {
  const setup: TextSetup = { ...room, model };
  return Contender.start(name, nodeCommand('llama', env), setup);
}

/** torchao with torch.compile; what inductor compiles is kept, so that later runs start at once. */
export function startTorchao(name: string, scheme: string, room: Room): Promise<TextEngine> {
  const threads = String(room.threads);
  const env = { OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads, TORCHINDUCTOR_CACHE_DIR: join(CACHE, 'inductor') };
  const file = fileURLToPath(new URL('./contenders/compiled.py', import.meta.url));
  return Contender.start(name, { file: PEERS.python, args: [file], env }, { ...room, model: PEERS.smollm2, scheme });
}

/** Ids of SmolLM2's vocabulary of 49,152, none special; speed does not depend on them. */
export function promptOf(tokens: number, from = 0): number[] {
  return Array.from({ length: tokens }, (_, i) => 1000 + (((from + i) * 7919) % 40000));
}
