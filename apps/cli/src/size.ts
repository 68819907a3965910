// parseSize('2GB'): bytes, as transformers writes sizes: KB, MB, GB of 1000, KiB, MiB, GiB of 1024.
import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

export function parseSize(text: string): number {
  const [, value = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*(|[KMG]i?)B?$/.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(value) * UNITS[unit]!);
  if (value !== '' && bytes > 0) return bytes;
  throw new InvalidArgumentError("It must be a size such as '2GB' or '500MB'.");
}
