#!/usr/bin/env node
// The CLI in the checkout: sets up what is missing (telling so on stderr), then runs apps/cli from its TypeScript sources.
import { at, node, tools } from './lib/checkout.mjs';
import { become } from './lib/run.mjs';
import { ready } from './lib/setup.mjs';

if (await ready()) {
  // `npm run ao` starts in the root; paths in its arguments are meant from where it was called
  const cwd = (process.env['npm_lifecycle_event'] === 'ao' && process.env['INIT_CWD']) || process.cwd();
  become(node(), ['--conditions=@ao/source', at('apps/cli/src/main.ts'), ...process.argv.slice(2)], {
    cwd,
    env: { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? `${tools}/cache/node` },
  });
}
