// The TypeScript tests: those beside the sources, which need no build, and those of the built and packed packages.
import { rmSync } from 'node:fs';
import { at } from '../lib/checkout.mjs';
import { fromVitest, one, sum } from '../lib/counts.mjs';

/** @param {import('../lib/stages.mjs').Context} context @param {string} name @param {readonly string[]} args */
async function vitestRun({ exec }, name, args) {
  const report = at('build', `${name}.json`);
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return fromVitest(report, (await exec('vitest', ['run', ...args, ...reporters])).code);
}

/** @type {import('../lib/stages.mjs').Stage} */
export const vitest = {
  name: 'vitest',
  native: true,
  about: 'the tests of all packages and apps, on their sources',
  run: (context) => vitestRun(context, 'vitest', []),
};

/** @type {import('../lib/stages.mjs').Stage} */
export const packages = {
  name: 'packages',
  native: true,
  about: 'builds and packs every package: exports, types, publint, installed alone as ESM and CJS',
  async run(context) {
    const wanted = ['--filter=!@ao/guard', '--filter=!@ao/testing'];
    const built = await context.exec('turbo', ['run', 'build', ...wanted, '--continue', '--output-logs=errors-only']);
    const config = ['--config', 'packages/guard/vitest.packed.config.ts'];
    return sum([one(built.code), await vitestRun(context, 'packages', config)]);
  },
};
