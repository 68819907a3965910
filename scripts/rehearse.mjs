// `npm run rehearse`: sets up, builds all packages, then plays a whole release against a registry on this machine and prints its log.
import { at, node } from './lib/checkout.mjs';
import { run } from './lib/run.mjs';
import { ready } from './lib/setup.mjs';
import { buildPackages } from './stages/vitest.mjs';

if (await ready('build')) {
  const built = await buildPackages(run);
  if (built.code !== 0) console.error(built.output);
  process.exitCode =
    built.code || (await run(node(), [at('packages/guard/src/rehearsal/main.ts')], { show: 'stdout' })).code;
}
