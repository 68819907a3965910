// Spool: parts of quantized tensors on their way to a file whose order is known only when all are made. One temporary file,
// written in turn, read in pieces, gone at the end.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile, type FileSink, type FileSource, openFile } from './node-file.ts';
import { PIECE } from './read-tensor.ts';

interface Range {
  readonly begin: number;
  readonly end: number;
}

export class Spool {
  readonly #path: string;
  #sink: FileSink | undefined;
  #source: FileSource | undefined;
  readonly #ranges = new Map<string, Range>();
  #end = 0;

  private constructor(path: string, sink: FileSink) {
    this.#path = path;
    this.#sink = sink;
  }

  /** Beside the files that will be written. */
  static async create(folder: string): Promise<Spool> {
    const path = join(folder, `.quantize.${process.pid}.spool`);
    return new Spool(path, await createFile(path));
  }

  has(name: string): boolean {
    return this.#ranges.has(name);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.#sink!.write(bytes);
    this.#ranges.set(name, { begin: this.#end, end: this.#end + bytes.byteLength });
    this.#end += bytes.byteLength;
  }

  /** The bytes of one name, after all have been written. */
  async *read(name: string): AsyncGenerator<Uint8Array> {
    if (this.#sink) {
      const sink = this.#sink;
      this.#sink = undefined;
      await sink.close();
    }
    this.#source ??= await openFile(this.#path);
    const { begin, end } = this.#ranges.get(name)!;
    for (let at = begin; at < end; at += PIECE) yield await this.#source.read(at, Math.min(PIECE, end - at));
  }

  async remove(): Promise<void> {
    await this.#sink?.abort();
    await this.#source?.close();
    await rm(this.#path, { force: true });
  }
}
