// `pnpm bench ARGS`: sets up what is missing or stale (telling so on stderr), then starts apps/bench on its sources.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { at } from './lib/checkout.mjs';
import { ready } from './lib/setup.mjs';

if (await ready()) {
  const args = ['--conditions=@ao/source', at('apps/bench/src/main.ts'), ...process.argv.slice(2)];
  const own = at('node_modules/.bin/node');
  process.exitCode = spawnSync(existsSync(own) ? own : process.execPath, args, { stdio: 'inherit' }).status ?? 1;
} else process.exitCode = 1;
