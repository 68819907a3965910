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

/** @param {import('../lib/stages.mjs').Context['exec']} exec */
export const buildPackages = (exec) =>
  exec('turbo', [
    'run',
    'build',
    '--filter=!@ao/guard',
    '--filter=!@ao/testing',
    '--continue',
    '--output-logs=errors-only',
  ]);

/** @type {import('../lib/stages.mjs').Stage} */
export const packages = {
  name: 'packages',
  native: true,
  about:
    'builds and packs every package: exports, types, publint, installed alone, browser bundles, a release rehearsed',
  async run(context) {
    const built = await buildPackages(context.exec);
    const config = ['--config', 'packages/guard/vitest.packed.config.ts'];
    return sum([one(built.code), await vitestRun(context, 'packages', config)]);
  },
};
