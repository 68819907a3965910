// UpcastTensor: a weight in a dtype wider than its file's, kept in the file's: w[n,k] = code[n,k] exactly.
// A bf16 checkpoint computes in float32 with half the memory, and gives the same numbers as float32 weights.
import {
  AoError,
  castTo,
  type Dense,
  type DType,
  defineKind,
  dtypeByName,
  type Entry,
  kindEntry,
  type Tensor,
  weightOverrides,
} from '@ao/core';

type Code = 'bfloat16' | 'float16';

const CODES: readonly string[] = ['bfloat16', 'float16'];

export const UpcastTensor = /*@__PURE__*/ defineKind('UpcastTensor', {
  parts: ['code'],
  attrs: (json: unknown): Record<string, never> => {
    if (Object.keys(json as object).length === 0) return {};
    throw new AoError('ERR_AO_FORMAT', 'UpcastTensor has no attributes');
  },
  dequantize: (t) => castTo(t.code, t.dtype),
  weight: (t) => {
    const [N, K] = t.shape as [number, number];
    const code = t.code.dtype.name as Code;
    return { format: { code, N, K, groupSize: K, zeroDomain: 'none', activation: 'exact' }, codes: t.code as Dense };
  },
  fromWeight: ({ codes }) => ({ code: codes }),
  packs: ['code'],
});

/** True where `from` can be kept as it is under the wider `to`. */
export function upcasts(from: DType, to: DType): boolean {
  return CODES.includes(from.name) && to === dtypeByName('float32');
}

export function upcast(code: Tensor, dtype: DType): Tensor {
  return UpcastTensor.make({ code }, {}, code.shape, dtype);
}

export const upcastEntries = (): Entry[] => [kindEntry(UpcastTensor), ...weightOverrides(UpcastTensor)];
