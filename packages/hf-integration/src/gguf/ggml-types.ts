// The types of tensors in a GGUF that are read here: their number in the file, how many values a block holds, and its bytes.
// Blocks lie along the last dimension, so a row of K values takes K / block * bytes.
import { AoError } from '@ao/core';

export interface GgmlType {
  readonly name: string;
  readonly id: number;
  /** Values of a block. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
}

const type = (name: string, id: number, block: number, bytes: number): GgmlType => ({ name, id, block, bytes });

export const ggmlTypes: readonly GgmlType[] = /*@__PURE__*/ Object.freeze([
  type('F32', 0, 1, 4),
  type('F16', 1, 1, 2),
  type('BF16', 30, 1, 2),
  type('Q4_0', 2, 32, 18),
  type('Q4_1', 3, 32, 20),
  type('Q5_0', 6, 32, 22),
  type('Q5_1', 7, 32, 24),
  type('Q8_0', 8, 32, 34),
  type('Q2_K', 10, 256, 84),
  type('Q3_K', 11, 256, 110),
  type('Q4_K', 12, 256, 144),
  type('Q5_K', 13, 256, 176),
  type('Q6_K', 14, 256, 210),
  type('IQ4_NL', 20, 32, 18),
]);

/** Names of types that are not read, for messages. */
const OTHERS: Readonly<Record<number, string>> = {
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
};

export function ggmlType(name: string): GgmlType {
  const found = ggmlTypes.find((t) => t.name === name);
  if (found) return found;
  throw new AoError('ERR_AO_CONFIG', `'${name}' is no type of GGUF that is known here`, {
    fix: `use one of ${ggmlTypes.map((t) => t.name).join(', ')}`,
  });
}

/** By its number in a file. */
export function ggmlTypeById(id: number, file: string, tensor: string): GgmlType {
  const found = ggmlTypes.find((t) => t.id === id);
  if (found) return found;
  throw new AoError('ERR_AO_FORMAT', `${file}: stored as ${OTHERS[id] ?? `type ${id}`}, which is not read`, {
    tensor,
    fix: `take a file whose tensors are ${ggmlTypes.map((t) => t.name).join(', ')}`,
  });
}

/** Bytes of `count` values, whole blocks. */
export const ggmlBytes = ({ block, bytes }: GgmlType, count: number): number => (count / block) * bytes;
