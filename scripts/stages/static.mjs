// Checks that run nothing: format, lint and types of the whole repository.
import { node } from '../lib/checkout.mjs';
import { one, sum } from '../lib/counts.mjs';
import { clangFormat, cxxFiles } from '../lib/cxx.mjs';

/** @type {import('../lib/stages.mjs').Stage} */
export const format = {
  name: 'format',
  about: 'biome for TypeScript and JSON, clang-format for C++; `pnpm format` mends',
  async run({ exec }) {
    const biome = await exec('biome', ['format', '--colors=off', '--max-diagnostics=20', '.']);
    const clang = await exec(clangFormat, ['--dry-run', '-Werror', '--ferror-limit=3', ...cxxFiles()]);
    return sum([one(biome.code), one(clang.code)]);
  },
};

/** @type {import('../lib/stages.mjs').Stage} */
export const lint = {
  name: 'lint',
  about: 'biome lint',
  run: async ({ exec }) =>
    one((await exec('biome', ['lint', '--colors=off', '--error-on-warnings', '--max-diagnostics=50', '.'])).code),
};

/** @type {import('../lib/stages.mjs').Stage} */
export const types = {
  name: 'types',
  about: 'TypeScript 7 over the whole repository, nothing built',
  run: async ({ exec }) => one((await exec(node(), ['node_modules/typescript-7/bin/tsc', '-p', '.'])).code),
};
