// readGguf(source): the head of a GGUF from a file, whose length only its end tells: read in a prefix that doubles.
import type { ByteSource } from '@ao/core';
import { type GgufHead, NeedsMore, parseGguf } from './parse-gguf.ts';

const FIRST = 1 << 20;

export async function readGguf(source: ByteSource): Promise<GgufHead> {
  for (let length = FIRST; ; length *= 2) {
    const bytes = await source.read(0, Math.min(length, source.size));
    try {
      // a file that was cut short meanwhile ends where its bytes do
      return parseGguf(bytes, length < source.size ? source.size : bytes.byteLength, source.name);
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
    }
  }
}
