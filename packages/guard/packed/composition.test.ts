// Every public package alone in an empty folder with what it declares as required: imported as ESM and as CJS, the same names in both,
// and one job of jobs/ done, on this Node and on an older one where the machine has it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { application } from '../src/application.ts';
import { packageTarballs } from '../src/pack.ts';
import { nodes } from '../src/rehearsal/hosts.ts';
import { publicPackages, requiredPeers, root } from '../src/workspace.ts';

describe.each(publicPackages())('$manifest.name', ({ short, manifest }) => {
  const job = join(root, `packages/guard/jobs/${short}.mjs`);

  it('has a job', () => expect(existsSync(job)).toBe(true));

  it('works alone, as ESM and as CJS', () => {
    const names = [manifest.name, ...requiredPeers(manifest)];
    using app = application(names, packageTarballs());
    app.copy(job, 'job.mjs');
    const list = JSON.stringify(names);
    const resources = `const resources = ${JSON.stringify({ model: join(root, 'apps/stories-7m') })};`;
    app.write(
      'esm.mjs',
      `import { job } from './job.mjs';
       ${resources}
       const packages = Object.fromEntries(await Promise.all(${list}.map(async (name) => [name, await import(name)])));
       console.log(JSON.stringify({ exports: Object.keys(packages['${manifest.name}']).sort(), result: await job(packages, resources) }));`,
    );
    app.write(
      'cjs.cjs',
      `${resources}
       const packages = Object.fromEntries(${list}.map((name) => [name, require(name)]));
       import('./job.mjs').then(async ({ job }) =>
         console.log(JSON.stringify({ exports: Object.keys(packages['${manifest.name}']).sort(), result: await job(packages, resources) })));`,
    );
    for (const node of nodes()) {
      const [esm, cjs] = ['esm.mjs', 'cjs.cjs'].map(
        (file) => JSON.parse(app.run(node, [file])) as { exports: string[]; result: unknown },
      );
      expect(cjs).toEqual(esm);
      expect(esm?.exports.length).toBeGreaterThan(0);
      expect(esm?.result).toBeTruthy();
    }
  });
});
