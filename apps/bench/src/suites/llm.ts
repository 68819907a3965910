// SmolLM2-135M, reading 512 tokens and writing 64, against llama.cpp on the same weights: which of ours meets which of its.
import type { Setup } from '../contender.ts';
import { PEERS } from '../peers.ts';

export interface Entry {
  readonly name: string;
  readonly module: 'ao' | 'llama';
  readonly setup: Omit<Setup, 'threads' | 'contextSize'>;
  /** Files that must be there. */
  readonly needs: readonly string[];
}

export interface Pairing {
  readonly ours: Entry;
  readonly peer: Entry;
  /** Least ratio ours / peer that is promised. */
  readonly floor?: { readonly decode: number; readonly prefill: number };
}

const folder = PEERS.smollm2;
const ours = (name: string, scheme?: string, rules: readonly string[] = []): Entry => ({
  name,
  module: 'ao',
  setup: { model: folder, rules, ...(scheme === undefined ? {} : { scheme }) },
  needs: [`${folder}/config.json`],
});
const llama = (name: string, model: string): Entry => ({
  name,
  module: 'llama',
  setup: { model },
  needs: [PEERS.llama, model],
});

const q4 = llama('llama.cpp Q4_0', PEERS.smollm2Q4);
const q8 = llama('llama.cpp Q8_0', PEERS.smollm2Q8);
const bf16 = llama('llama.cpp BF16', PEERS.smollm2BF16);

// its 4-bit files keep the embedding and head in 8 bits: ours do the same, by a rule
export const PAIRINGS: readonly Pairing[] = [
  {
    ours: ours('int4wo-32:int8-group', 'int4wo-32:int8-group', ['lm_head=int8wo:int8-group']),
    peer: q4,
    floor: { decode: 1, prefill: 0.7 },
  },
  { ours: ours('int4wo-32', 'int4wo-32', ['lm_head=int8wo']), peer: q4 },
  { ours: ours('8da4w-32', '8da4w-32', ['lm_head=int8wo']), peer: q4 },
  { ours: ours('int8wo:int8-group', 'int8wo-32:int8-group', ['lm_head=int8wo-32:int8-group']), peer: q8 },
  { ours: ours('int8dq', 'int8dq', ['lm_head=int8dq']), peer: q8 },
  { ours: ours('bfloat16'), peer: bf16 },
];
