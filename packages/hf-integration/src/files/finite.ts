// Weights that are no numbers: where the first NaN or infinity of a tensor is, looked for in its bytes as they pass.
import { AoError, type TensorFile } from '@ao/core';
import { moduleOf } from '../models/family.ts';
import { piecesOf } from './read-tensor.ts';

/** Words of a value, and the bits of its exponent, all set in what is not finite. */
const FORMATS: Readonly<
  Record<string, { readonly words: typeof Uint16Array | typeof Uint32Array; readonly exponent: number }>
> = {
  F32: { words: Uint32Array, exponent: 0x7f800000 },
  F16: { words: Uint16Array, exponent: 0x7c00 },
  BF16: { words: Uint16Array, exponent: 0x7f80 },
};

/** The pieces as they are. Throws ERR_AO_FORMAT at the first value that is not finite. */
export async function* finitePieces(file: TensorFile, name: string): AsyncGenerator<Uint8Array> {
  const { dtype, shape } = file.entry(name);
  const format = FORMATS[dtype];
  let before = 0;
  for await (const piece of piecesOf(file, name)) {
    if (format) {
      const aligned = piece.byteOffset % 4 === 0 ? piece : piece.slice();
      const words = new format.words(
        aligned.buffer as ArrayBuffer,
        aligned.byteOffset,
        aligned.byteLength / format.words.BYTES_PER_ELEMENT,
      );
      const { exponent } = format;
      for (let i = 0; i < words.length; i++) {
        if ((words[i]! & exponent) === exponent) throw notFinite(name, shape, before + i, format, words[i]!);
      }
      before += words.length;
    }
    yield piece;
  }
}

/** Throws where the tensor has a value that is not finite. */
export async function checkFinite(file: TensorFile, name: string): Promise<void> {
  for await (const _piece of finitePieces(file, name));
}

function notFinite(
  name: string,
  shape: readonly number[],
  at: number,
  { words, exponent }: { readonly words: { readonly BYTES_PER_ELEMENT: number }; readonly exponent: number },
  word: number,
): AoError {
  const sign = word >>> (8 * words.BYTES_PER_ELEMENT - 1) ? '-' : '';
  const mantissa = word & ((exponent & -exponent) - 1);
  const value = mantissa === 0 ? `${sign}Infinity` : 'NaN';
  const index: number[] = [];
  let rest = at;
  for (const size of [...shape].reverse()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return new AoError('ERR_AO_FORMAT', `the weight has ${value} at [${index}], the first value that is not finite`, {
    module: moduleOf(name),
    tensor: name,
    fix: 'the checkpoint is damaged or its training diverged: take another, or repair this weight',
  });
}
