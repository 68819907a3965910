// skips(names): which weights modulesToNotConvert leaves as they are: those whose name has the given one in it, whole
// segments only ('mlp', 'layers.0', 'up_proj'), or begins so up to a border of modules with the name read as a regular
// expression, as transformers does (should_convert_module).
import { AoError } from '@ao/core';
import { matcher } from '@ao/quantization';
import { moduleOf } from '../models/family.ts';

export interface Skips {
  /** The name that keeps a parameter from being quantized. */
  find(parameter: string): string | undefined;
}

const BORDER = '(?:(?<=\\.)|(?=\\.|$))';

export function skips(names: readonly string[]): Skips {
  const tests = names.map((name) => ({ name, test: fromStart(name) }));
  const has = (full: string, name: string): boolean => `.${full}.`.includes(`.${name}.`);
  return {
    find: (parameter) =>
      tests.find(({ name, test }) => test(parameter) || test(moduleOf(parameter)) || has(parameter, name))?.name,
  };
}

function fromStart(name: string): (full: string) => boolean {
  if (name === '') throw error(name, 'it is empty and would match everything');
  try {
    return matcher(`re:(?:${name})${BORDER}.*`);
  } catch (cause) {
    throw error(name, (cause as Error).message);
  }
}

function error(name: string, why: string): AoError {
  return new AoError('ERR_AO_CONFIG', `modulesToNotConvert has '${name}': ${why}`, {
    fix: "give names such as 'model.layers.0' or 'up_proj', or regular expressions such as 'model.layers.*.up_proj'",
  });
}
