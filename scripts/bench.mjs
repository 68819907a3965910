// `pnpm bench ARGS`: sets up what is missing or stale (telling so on stderr), then starts apps/bench on its sources.
import { spawnSync } from 'node:child_process';
import { at, node } from './lib/checkout.mjs';
import { ready } from './lib/setup.mjs';

if (await ready()) {
  const args = ['--conditions=@ao/source', at('apps/bench/src/main.ts'), ...process.argv.slice(2)];
  process.exitCode = spawnSync(node(), args, { stdio: 'inherit' }).status ?? 1;
}
