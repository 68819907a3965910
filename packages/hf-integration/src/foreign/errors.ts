// Errors of foreign checkpoints.
import { AoError, type TensorFile } from '@ao/core';

export function unreadable(format: string, problem: string, fix: string, tensor?: string): AoError {
  return new AoError('ERR_AO_FORMAT', `${format}: ${problem}`, { ...(tensor === undefined ? {} : { tensor }), fix });
}

/** Throws where the file's tensor is not of this dtype and shape. */
export function expectTensor(
  format: string,
  file: TensorFile,
  key: string,
  dtypes: readonly string[],
  shape: readonly number[],
): void {
  const fix = 'the checkpoint is damaged, or its config.json belongs to other weights';
  if (!file.has(key)) throw unreadable(format, 'the file lacks this tensor', fix, key);
  const entry = file.entry(key);
  const fits = entry.shape.length === shape.length && entry.shape.every((d, i) => d === shape[i]);
  if (fits && dtypes.includes(entry.dtype)) return;
  const wanted = `${dtypes.join(' or ')} [${shape}]`;
  throw unreadable(format, `it is ${entry.dtype} [${entry.shape}], ${wanted} was expected`, fix, key);
}

/** The matrix shape of a tensor; throws for other ranks. */
export function matrixOf(format: string, file: TensorFile, key: string): readonly [number, number] {
  const { shape } = file.entry(key);
  if (shape.length === 2) return shape as readonly [number, number];
  throw unreadable(format, `its shape is [${shape}], not a matrix`, 'only linear layers are read', key);
}

/** Names of modules that have a tensor of this suffix: 'a.b.qweight' -> 'a.b'. */
export const modulesWith = (file: TensorFile, suffix: string): string[] =>
  file.names.filter((name) => name.endsWith(`.${suffix}`)).map((name) => name.slice(0, -suffix.length - 1));
