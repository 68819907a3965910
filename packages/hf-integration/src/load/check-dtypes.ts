// checkDtypes: before any tensor is read, every plain parameter must be stored in a dtype that holds its values as they are.
// Codes of a quantization that this checkpoint does not describe (int8, float8) would be read as values.
import { AoError, type TensorFile } from '@ao/core';
import { PLAIN, type Stored } from '../files/stored.ts';
import type { Outline } from '../models/family.ts';

const FLOATS = ['F32', 'F16', 'BF16'];

export function checkDtypes(
  outline: Outline,
  file: TensorFile,
  stored: ReadonlyMap<string, Stored>,
  where: string,
): void {
  const wrong = outline.parameters.flatMap(({ name }) => {
    if (stored.get(name)?.type !== PLAIN) return [];
    const { dtype } = file.entry(name);
    return FLOATS.includes(dtype) ? [] : [{ name, dtype }];
  });
  const [first] = wrong;
  if (first === undefined) return;
  const more = wrong.length > 1 ? `, and ${wrong.length - 1} others are no floats either` : '';
  throw new AoError('ERR_AO_DTYPE', `${where}: stored as ${first.dtype}${more}`, {
    tensor: first.name,
    fix: `weights are read from ${FLOATS.join(', ')} or as torchao quantizes them; take the unquantized model`,
  });
}
