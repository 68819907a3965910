// The schemes that are measured, each with the same weights under exact activations. The GGUFs keep the tied embedding and head
// in 8 bits beside 4-bit and 8-bit layers: ours do the same, by a rule.
import { PEERS } from './peers/where.ts';
import type { Form } from './suite.ts';
import type { Quantized } from './text-engine.ts';

export interface Measured {
  readonly id: string;
  readonly ours: Quantized;
  readonly form: Form;
  /** Absent where ours is exact. */
  readonly exact?: Quantized;
  readonly peer: string;
  readonly file: string;
}

const q4 = { peer: 'llama.cpp Q4_0', file: PEERS.smollm2Q4 };
const q8 = { peer: 'llama.cpp Q8_0', file: PEERS.smollm2Q8 };
const scheme = (layers: string, head = layers): Quantized => ({ scheme: layers, rules: [`lm_head=${head}`] });

export const INT4: Measured = {
  id: 'int4',
  ours: scheme('int4wo-32:int8-group', 'int8wo:int8-group'),
  form: 'int8-group',
  exact: scheme('int4wo-32', 'int8wo'),
  ...q4,
};
export const INT4_EXACT: Measured = { id: 'int4-exact', ours: INT4.exact!, form: 'exact', ...q4 };
export const DA4W: Measured = {
  id: '8da4w',
  ours: scheme('8da4w-32', 'int8dq'),
  form: 'int8-token',
  exact: scheme('intx4-32', 'int8wo'),
  ...q4,
};
export const INT8: Measured = {
  id: 'int8',
  ours: scheme('int8wo-32:int8-group'),
  form: 'int8-group',
  exact: scheme('int8wo-32'),
  ...q8,
};
export const INT8DQ: Measured = {
  id: 'int8dq',
  ours: scheme('int8dq'),
  form: 'int8-token',
  exact: scheme('int8wo'),
  ...q8,
};
export const BF16: Measured = {
  id: 'bf16',
  ours: {},
  form: 'exact',
  peer: 'llama.cpp BF16',
  file: PEERS.smollm2BF16,
};

export function nameOf({ ours }: Measured): string {
  return ours.scheme ?? 'bfloat16';
}
