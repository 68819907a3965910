// paint(text, style): colours where the stream is a terminal that has them; NO_COLOR and TERM=dumb turn them off.
import type { WriteStream } from 'node:tty';

const CODES = { bold: 1, red: 31 } as const;

export function paint(text: string, style: keyof typeof CODES, stream: NodeJS.WriteStream = process.stderr): string {
  // only streams of a terminal have hasColors, which reads the environment
  const colors = (stream as Partial<WriteStream>).hasColors?.() ?? false;
  return colors ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}
