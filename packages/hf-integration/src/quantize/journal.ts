// Journal: what a long work has finished, so that it goes on after any end of its process. In `.NAME.quantize` beside the
// output NAME lie
//   journal   one line of JSON each: what the work is made of; each quantized tensor, with where its bytes are; the end
//   spool     the bytes of the quantized tensors, one after the other
//   model     the folder that becomes the output
//   lock      the process that works here
// A line counts once its bytes are in the spool and have its checksum, so a cut line, or bytes that never reached the disk,
// are work to do again. Another checkpoint or configuration than the journal's is an error that names what changed.
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { AoError } from '@ao/core';
import { PIECE } from '../files/read-tensor.ts';
import type { Storing } from '../files/stored.ts';
import { takeLock } from './lock.ts';
import type { Outcome } from './report.ts';

/** What work is made of, by names for messages; each is compared as text. */
export type Origin = Readonly<Record<string, string>>;

export interface Done {
  readonly name: string;
  readonly storing: Storing;
  readonly outcome: Outcome;
  /** Bytes of its items in the spool, one after the other. */
  readonly begin: number;
  readonly sizes: readonly number[];
  readonly crc: number;
}

interface End {
  /** Names in the folder that becomes the output. */
  readonly end: readonly string[];
}

const FORM = 1;

/** The SQNR of a weight that its codes hold exactly is infinite, which JSON has no word for. */
const numbers = {
  write: (_key: string, value: unknown): unknown => (value === Number.POSITIVE_INFINITY ? 'Infinity' : value),
  read: (key: string, value: unknown): unknown =>
    key === 'sqnr' && value === 'Infinity' ? Number.POSITIVE_INFINITY : value,
};

export class Journal {
  readonly folder: string;
  readonly output: string;
  readonly done = new Map<string, Done>();
  /** Set where all that is left is to move the folder to its place. */
  end: readonly string[] | undefined;
  readonly #unlock: () => Promise<void>;
  #lines: FileHandle | undefined;
  #spool: FileHandle | undefined;
  #at = 0;

  private constructor(folder: string, output: string, unlock: () => Promise<void>) {
    this.folder = folder;
    this.output = output;
    this.#unlock = unlock;
  }

  /** Goes on with what is there. Throws ERR_AO_CONFIG where that was made of something else, or another process works on it. */
  static async open(output: string, origin: Origin): Promise<Journal> {
    const final = resolve(output);
    const folder = join(dirname(final), `.${basename(final)}.quantize`);
    await mkdir(folder, { recursive: true });
    const unlock = await takeLock(join(folder, 'lock'), folder);
    const journal = new Journal(folder, final, unlock);
    try {
      await journal.#read(origin);
      return journal;
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  /** What becomes the output. */
  get model(): string {
    return join(this.folder, 'model');
  }

  async #read(origin: Origin): Promise<void> {
    const path = join(this.folder, 'journal');
    const text = existsSync(path) ? await readFile(path, 'utf8') : '';
    const lines = text.split('\n').slice(0, -1);
    const first = JSON.stringify({ form: FORM, origin });
    this.#spool = await open(join(this.folder, 'spool'), existsSync(join(this.folder, 'spool')) ? 'r+' : 'w+');
    let kept = '';
    if (lines[0] !== undefined) {
      checkOrigin(this.folder, lines[0], origin);
      kept = `${first}\n`;
      const all = lines.slice(1).map(parsed);
      this.end = all.flatMap((line) => (line && 'end' in line ? [line.end] : []))[0];
      for (const [i, line] of all.entries()) {
        if (line === undefined || !(await this.#take(line))) break;
        kept += `${lines[i + 1]}\n`;
      }
    }
    if (kept === '') {
      await rm(this.model, { recursive: true, force: true });
      kept = `${first}\n`;
      this.#lines = await open(path, 'w');
      await this.#lines.write(kept);
    } else {
      await truncate(path, Buffer.byteLength(kept));
      this.#lines = await open(path, 'a');
    }
    if (this.end === undefined) await this.#spool.truncate(this.#at);
    // what a killed process was writing
    const names = await readdir(this.model).catch(() => [] as string[]);
    if (this.end === undefined)
      for (const name of names) if (/^\..*\.tmp$/.test(name)) await rm(join(this.model, name), { force: true });
  }

  /** false where the bytes that a line tells of are not there; in the end they are not needed. */
  async #take(line: Done | End): Promise<boolean> {
    if ('end' in line) return true;
    const size = line.sizes.reduce((a, b) => a + b, 0);
    const whole = line.begin === this.#at && (await this.#checksum(line.begin, size)) === line.crc;
    if (!whole && this.end === undefined) return false;
    this.#at += size;
    this.done.set(line.name, line);
    return true;
  }

  async #checksum(begin: number, size: number): Promise<number> {
    let crc = 0;
    for await (const piece of this.#pieces(begin, size)) crc = crc32(piece, crc);
    return crc;
  }

  async *#pieces(begin: number, size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < size; at += PIECE) {
      const piece = new Uint8Array(Math.min(PIECE, size - at));
      const { bytesRead } = await this.#spool!.read(piece, 0, piece.byteLength, begin + at);
      yield piece.subarray(0, bytesRead);
      if (bytesRead < piece.byteLength) return;
    }
  }

  /** Puts the bytes of a tensor's items into the spool; `add` makes them count. */
  async write(parts: readonly Uint8Array[]): Promise<Pick<Done, 'begin' | 'sizes' | 'crc'>> {
    const begin = this.#at;
    let crc = 0;
    for (const part of parts) {
      for (let done = 0; done < part.byteLength; ) {
        const piece = part.subarray(done, done + PIECE);
        const { bytesWritten } = await this.#spool!.write(piece, 0, piece.byteLength, this.#at);
        crc = crc32(piece.subarray(0, bytesWritten), crc);
        done += bytesWritten;
        this.#at += bytesWritten;
      }
    }
    return { begin, sizes: parts.map((p) => p.byteLength), crc };
  }

  async add(done: Done): Promise<void> {
    await this.#lines!.appendFile(`${JSON.stringify(done, numbers.write)}\n`);
    this.done.set(done.name, done);
  }

  /** The bytes of the i-th item of a tensor. */
  read(name: string, i: number): AsyncGenerator<Uint8Array> {
    const { begin, sizes } = this.done.get(name)!;
    return this.#pieces(
      sizes.slice(0, i).reduce((a, b) => a + b, begin),
      sizes[i]!,
    );
  }

  /** The folder is complete; from here on nothing is made again. */
  async finish(): Promise<readonly string[]> {
    if (this.end !== undefined) return this.end;
    const end = await readdir(this.model);
    await this.#lines!.appendFile(`${JSON.stringify({ end } satisfies End)}\n`);
    await this.#lines!.sync();
    this.end = end;
    return end;
  }

  /** Keeps what is there for the next time. */
  async close(): Promise<void> {
    const handles = [this.#lines, this.#spool];
    this.#lines = undefined;
    this.#spool = undefined;
    for (const handle of handles) await handle?.close();
    await this.#unlock();
  }

  /** The journal goes last: without it there is nothing to go on with. */
  async remove(): Promise<void> {
    await this.close();
    const { folder } = this;
    const parts = ['model', 'spool', 'journal'].map((name) => join(folder, name));
    for (const path of [...parts, folder]) await rm(path, { recursive: true, force: true });
  }
}

/** undefined for a line that was cut. */
function parsed(line: string): Done | End | undefined {
  try {
    return JSON.parse(line, numbers.read) as Done | End;
  } catch {
    return undefined;
  }
}

function checkOrigin(folder: string, line: string, origin: Origin): void {
  let before: { readonly form?: unknown; readonly origin?: Origin } = {};
  try {
    before = JSON.parse(line) as typeof before;
  } catch {
    // as of another form
  }
  const was = before.form === FORM ? (before.origin ?? {}) : undefined;
  const names = was && [...new Set([...Object.keys(was), ...Object.keys(origin)])];
  const changed = names ? names.filter((name) => was[name] !== origin[name]) : ['the version of ao'];
  if (changed.length === 0) return;
  const shown = changed.slice(0, 3).map((name) => {
    const [from, to] = [was?.[name], origin[name]];
    const short = [from, to].every((text) => text === undefined || text.length < 200);
    return short && names ? `${name} was ${from ?? 'not there'} and is ${to ?? 'not there'}` : `${name} is another`;
  });
  throw new AoError(
    'ERR_AO_CONFIG',
    `${folder} holds a quantization that was begun with other things: ${shown.join('; ')}`,
    {
      fix: 'give the same again to go on with it, or delete that folder to begin anew',
    },
  );
}
