#!/usr/bin/env node
// The CLI in the checkout: sets up what is missing or stale (telling so on stderr), then starts apps/cli in this process.
import { tools } from './lib/checkout.mjs';
import { ready } from './lib/setup.mjs';

if (await ready()) {
  // `npm run ao` starts in the root; paths in its arguments are meant from where it was called
  const calledFrom = process.env['INIT_CWD'];
  if (process.env['npm_lifecycle_event'] === 'ao' && calledFrom) process.chdir(calledFrom);
  process.env['NODE_COMPILE_CACHE'] ??= `${tools}/cache/node`;
  await import(new URL('../apps/cli/bin/ao.mjs', import.meta.url).href);
}
