// skips(names): which weights modulesToNotConvert leaves as they are, by the rule of transformers (should_convert_module):
// from the start up to a border of modules, read as a regular expression, or as an ending. transformers asks with names of
// parameters; here a name of a module counts too, so that 'up_proj' means every up_proj.
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
  return {
    find: (parameter) =>
      tests.find(({ name, test }) => [parameter, moduleOf(parameter)].some((full) => test(full) || full.endsWith(name)))
        ?.name,
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
