// openZip(source): where the entries of a zip file lie, by its central directory (zip64 too). Only stored entries have a place:
// torch writes no others, so that tensors are read by range.
import { AoError, type ByteSource } from '@ao/core';

export interface ZipEntry {
  /** Of its bytes in the file. */
  readonly offset: number;
  readonly size: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_SIZE = 22;
/** The end record may have a comment of up to 64 KiB behind it. */
const TAIL = END_SIZE + 0xffff + 20;
const MAX_DIRECTORY = 1 << 28;
/** Encrypted, or with its directory encrypted. */
const ENCRYPTED = 0x2041;

export async function openZip(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const { count, offset, size } = await directoryOf(source);
  if (size > MAX_DIRECTORY) throw broken(source, `its directory has ${size} bytes`);
  const bytes = await readAt(source, offset, size, 'the directory');
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const { name, end, ...entry } = centralEntry(source, bytes, at);
    at = end;
    if (entries.has(name)) throw broken(source, `two entries are named '${name}'`);
    entries.set(name, { offset: await dataOffset(source, name, entry), size: entry.size });
  }
  return entries;
}

interface Directory {
  readonly count: number;
  readonly offset: number;
  readonly size: number;
}

async function directoryOf(source: ByteSource): Promise<Directory> {
  const start = Math.max(0, source.size - TAIL);
  const tail = view(await readAt(source, start, source.size - start, 'its end'));
  let at = tail.byteLength - END_SIZE;
  while (
    at >= 0 &&
    !(tail.getUint32(at, true) === END && at + END_SIZE + tail.getUint16(at + 20, true) <= tail.byteLength)
  )
    at--;
  if (at < 0) throw broken(source, 'no end record: this is no zip file, or it was cut short');
  const found = {
    count: tail.getUint16(at + 10, true),
    size: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  if (found.count !== 0xffff && found.size !== 0xffffffff && found.offset !== 0xffffffff) return found;
  const locator = at - 20;
  if (locator < 0 || tail.getUint32(locator, true) !== LOCATOR64) return found;
  const end = view(await readAt(source, natural(source, tail, locator + 8), 56, 'the zip64 end record'));
  if (end.getUint32(0, true) !== END64) throw broken(source, 'its zip64 end record is not where it should be');
  return { count: natural(source, end, 32), size: natural(source, end, 40), offset: natural(source, end, 48) };
}

interface Central extends ZipEntry {
  readonly name: string;
  /** Of this record in the directory. */
  readonly end: number;
}

/** `offset` is that of the local header. */
function centralEntry(source: ByteSource, bytes: Uint8Array, at: number): Central {
  const record = view(bytes);
  if (at + 46 > bytes.length || record.getUint32(at, true) !== CENTRAL)
    throw broken(source, 'its directory is cut short');
  const [flags, method] = [record.getUint16(at + 8, true), record.getUint16(at + 10, true)];
  const lengths = [28, 30, 32].map((field) => record.getUint16(at + field, true)) as [number, number, number];
  const end = at + 46 + lengths[0] + lengths[1] + lengths[2];
  if (end > bytes.length) throw broken(source, 'its directory is cut short');
  const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + lengths[0]));
  if ((flags & ENCRYPTED) !== 0) throw broken(source, `'${name}' is encrypted`);
  if (method !== 0) throw broken(source, `'${name}' is compressed, torch.save stores its entries`);
  let [packed, size, offset] = [20, 24, 42].map((field) => record.getUint32(at + field, true)) as [
    number,
    number,
    number,
  ];
  // zip64: the fields that are too large for 32 bits, in this order
  let extra = at + 46 + lengths[0];
  const last = extra + lengths[1];
  while (extra + 4 <= last) {
    const [id, length] = [record.getUint16(extra, true), record.getUint16(extra + 2, true)];
    let field = extra + 4;
    extra = field + length;
    if (id !== 1 || extra > last) continue;
    const wide = (value: number): number => {
      if (value !== 0xffffffff || field + 8 > extra) return value;
      field += 8;
      return natural(source, record, field - 8);
    };
    size = wide(size);
    packed = wide(packed);
    offset = wide(offset);
  }
  if (packed !== size) throw broken(source, `'${name}' is stored in ${packed} bytes but has ${size}`);
  return { name, offset, size, end };
}

/** Behind the local header, whose name and extra field have lengths of their own. */
async function dataOffset(source: ByteSource, name: string, { offset, size }: ZipEntry): Promise<number> {
  const header = view(await readAt(source, offset, 30, `the header of '${name}'`));
  if (header.getUint32(0, true) !== LOCAL) throw broken(source, `'${name}' does not begin where the directory says`);
  const start = offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (start + size > source.size)
    throw broken(source, `'${name}' ends at byte ${start + size}, the file at ${source.size}`);
  return start;
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function natural(source: ByteSource, from: DataView, at: number): number {
  const value = Number(from.getBigUint64(at, true));
  if (Number.isSafeInteger(value)) return value;
  throw broken(source, `a size or place of ${value}`);
}

async function readAt(source: ByteSource, offset: number, length: number, what: string): Promise<Uint8Array> {
  if (offset + length > source.size)
    throw broken(source, `${what} would end at byte ${offset + length} of ${source.size}`);
  const bytes = await source.read(offset, length);
  if (bytes.byteLength === length) return bytes;
  throw broken(source, `${what} has ${bytes.byteLength} of ${length} bytes`);
}

const broken = (source: ByteSource, problem: string): AoError =>
  new AoError('ERR_AO_FORMAT', `${source.name}: ${problem}`, {
    fix: 'give a file of torch.save (torch 1.6 or newer), whole and unchanged',
  });
