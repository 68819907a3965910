// RawImage: a decoded picture: rows of pixels from the top, each pixel 3 bytes (RGB) or 4 (RGBA, of which A is left out).
import { AoError } from '@ao/core';

export interface RawImage {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** Bytes [height, width, 3]. */
export function rgb({ data, width, height }: RawImage): Uint8Array {
  const pixels = width * height;
  if (Number.isInteger(width) && Number.isInteger(height) && pixels > 0) {
    if (data.length === 3 * pixels) return new Uint8Array(data.buffer, data.byteOffset, data.length);
    if (data.length === 4 * pixels)
      return Uint8Array.from({ length: 3 * pixels }, (_, i) => data[4 * Math.floor(i / 3) + (i % 3)]!);
  }
  throw new AoError('ERR_AO_SHAPE', `an image of ${width} x ${height} with ${data.length} bytes`, {
    fix: 'give width * height * 3 bytes of RGB, or * 4 of RGBA',
  });
}
