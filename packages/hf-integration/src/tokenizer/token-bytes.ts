// tokenBytes(tokenizer.json): of each id the bytes it adds to a text; undefined for special tokens, which add none.
// Byte-level BPE writes each byte as one visible character; sentencepiece writes a space as U+2581 and a lone byte as <0x0A>.
import { AoError } from '@ao/core';
import type { Json } from '../config/read-json.ts';

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

export function tokenBytes(tokenizer: Json): (Uint8Array | undefined)[] {
  const model = tokenizer['model'] as { vocab?: unknown } | undefined;
  const decoder = kinds(tokenizer['decoder']);
  const vocab = model?.vocab;
  const pairs: (readonly [string, number])[] = Array.isArray(vocab)
    ? vocab.map((entry, id) => [(entry as [string, number])[0], id])
    : Object.entries((vocab ?? {}) as Readonly<Record<string, number>>);
  const read = decoder.has('ByteLevel')
    ? byteLevel()
    : decoder.has('ByteFallback') || decoder.has('Metaspace')
      ? sentencePiece
      : undefined;
  if (read === undefined || pairs.length === 0) {
    const found = [...decoder].join(', ') || 'none';
    throw new AoError('ERR_AO_CONFIG', `the bytes of tokens are not known for this tokenizer (decoders: ${found})`, {
      op: 'generate',
      fix: 'constrained output takes byte-level BPE and sentencepiece tokenizers',
    });
  }
  const out: (Uint8Array | undefined)[] = [];
  for (const [token, id] of pairs) out[id] = read(token);
  const encoder = new TextEncoder();
  for (const { id, content, special } of (tokenizer['added_tokens'] ?? []) as readonly AddedToken[])
    out[id] = special ? undefined : encoder.encode(content);
  return out;
}

/** The types of a decoder and of those in it. */
function kinds(decoder: unknown): ReadonlySet<string> {
  const json = decoder as { type?: string; decoders?: readonly unknown[] } | null | undefined;
  return new Set([json?.type ?? [], ...(json?.decoders ?? []).map((d) => [...kinds(d)])].flat(2));
}

function sentencePiece(token: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
  return byte
    ? Uint8Array.of(Number.parseInt(byte[1]!, 16))
    : new TextEncoder().encode(token.replaceAll('\u2581', ' '));
}

/** GPT-2's bytes_to_unicode: printable Latin-1 stands for itself, the other bytes for U+0100 and on. */
function byteLevel(): (token: string) => Uint8Array {
  const byteOf = new Map<string, number>();
  let other = 0x100;
  for (let b = 0; b < 256; b++) {
    const visible = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    byteOf.set(String.fromCharCode(visible ? b : other++), b);
  }
  const encoder = new TextEncoder();
  return (token) => Uint8Array.from([...token].flatMap((c) => byteOf.get(c) ?? [...encoder.encode(c)]));
}
