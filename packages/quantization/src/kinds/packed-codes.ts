// A form in files whose codes take b bits a value and not a byte (pack_bits): a part uint8 [..., K] is stored as uint8
// [..., ceil(K b / 8)], and `packed: { bits, columns }` beside the other attributes says so. Files without it have a code a byte.
import { type FileForm, packBits, scope, type Tensor, unpackBits, type Wrapped } from '@ao/core';

interface Packed {
  readonly bits: number;
  readonly columns: number;
}

const isPacked = (value: unknown): value is Packed =>
  Number.isInteger((value as Packed | null)?.bits) && Number.isInteger((value as Packed | null)?.columns);

/** `form` with `part` packed to `bits(t)` bits a value, where that is fewer than 8. */
export function packedCodes<T extends Wrapped>(form: FileForm<T>, part: string, bits: (t: T) => number): FileForm<T> {
  return {
    ...form,
    encode: (t) => {
      const packed = { bits: bits(t), columns: t.shape[t.ndim - 1] as number };
      return packed.bits < 8 ? { ...form.encode(t), packed } : form.encode(t);
    },
    store: (t) =>
      scope(() => {
        const parts: Record<string, Tensor> = { ...t.parts };
        if (bits(t) < 8) parts[part] = packBits(parts[part] as Tensor, bits(t));
        return parts;
      }),
    decode: (json, stored) => {
      const { packed } = json;
      if (!isPacked(packed)) return form.decode(json, stored);
      const codes = unpackBits(stored[part] as Tensor, packed.bits, packed.columns, false);
      const parts = { ...stored, [part]: codes };
      return { ...form.decode(json, parts), parts };
    },
  };
}
