// Programs that users would write: the examples, an extension outside the workspace, and the demo.
import { existsSync, readdirSync } from 'node:fs';
import { at, node } from '../lib/checkout.mjs';
import { fromOutput, one, sum } from '../lib/counts.mjs';

const folder = 'apps/examples/src';
const fromSource = ['--conditions=@ao/source'];

/** @type {import('../lib/stages.mjs').Stage} */
export const examples = {
  name: 'examples',
  native: true,
  about: `runs every program of ${folder}`,
  async run({ exec }) {
    const files = existsSync(at(folder))
      ? readdirSync(at(folder), { recursive: true, encoding: 'utf8' }).filter(
          (f) => f.endsWith('.ts') && !f.endsWith('.test.ts'),
        )
      : [];
    if (files.length === 0) return `there is no program in ${folder}`;
    const counts = [];
    for (const file of files) counts.push(one((await exec(node(), [...fromSource, at(folder, file)])).code));
    return sum(counts);
  },
};

/** @type {import('../lib/stages.mjs').Stage} */
export const outOfTree = {
  name: 'out-of-tree',
  native: true,
  about: 'an extension outside the workspace, with its own op, kernel, dtype, kind and config, on the packed packages',
  async run({ exec }) {
    if (!existsSync(at('apps/examples/out-of-tree/package.json'))) return 'there is no apps/examples/out-of-tree';
    const { output, code } = await exec(node(), ['packages/guard/src/out-of-tree.ts']);
    return fromOutput(output, code);
  },
};

/** @type {import('../lib/stages.mjs').Stage} */
export const demo = {
  name: 'demo',
  native: true,
  about: 'npm run demo',
  async run({ exec }) {
    if (!existsSync(at('apps/cli/src/commands/demo.ts'))) return 'there is no apps/cli/src/commands/demo.ts';
    return one((await exec(node(), ['scripts/demo.mjs'])).code);
  },
};
