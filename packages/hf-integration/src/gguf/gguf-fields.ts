// GgufFields(head, file): typed access to a GGUF's metadata; `key` is the key itself or stands below the architecture's name.
import { type GgufHead, type GgufValue, ggufError } from './parse-gguf.ts';

export class GgufFields {
  readonly #metadata: ReadonlyMap<string, GgufValue>;
  /** For messages. */
  readonly file: string;
  readonly architecture: string;

  constructor({ metadata }: GgufHead, file: string) {
    this.#metadata = metadata;
    this.file = file;
    const architecture = metadata.get('general.architecture');
    if (typeof architecture !== 'string') throw ggufError(file, 'general.architecture is no text');
    this.architecture = architecture;
  }

  get(key: string): GgufValue | undefined {
    return this.#metadata.get(key) ?? this.#metadata.get(`${this.architecture}.${key}`);
  }

  number(key: string): number | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    // one number for each layer, where all are the same
    const one = Array.isArray(value) && value.every((v) => v === value[0]) ? (value[0] as GgufValue) : value;
    if (typeof one === 'number' && Number.isFinite(one)) return one;
    throw ggufError(this.file, `${key} is no number that holds for all layers`);
  }

  needed(key: string): number {
    const value = this.number(key);
    if (value !== undefined) return value;
    throw ggufError(this.file, `it lacks ${this.architecture}.${key}`);
  }

  text(key: string): string | undefined {
    const value = this.get(key);
    return typeof value === 'string' ? value : undefined;
  }
}
