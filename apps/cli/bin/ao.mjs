#!/usr/bin/env node
// Starts the command line. In a checkout it runs the sources, which are never stale: in this process where Node strips
// types (22.18 and later), else in the Node that the root installs, else the built dist/. A published package has only dist/.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';

const at = (path) => new URL(path, import.meta.url);
const source = at('../src/run.ts');
const built = at('../dist/run.js');
const own = fileURLToPath(at('../../../node_modules/.bin/node'));

nodeModule.enableCompileCache?.();
if (!existsSync(source) || process.env.AO_CLI === 'dist') {
  await import(built.href);
} else if (process.features.typescript && nodeModule.registerHooks) {
  const withSource = (conditions) => ['@ao/source', ...(conditions ?? [])];
  nodeModule.registerHooks({
    resolve: (specifier, context, next) => next(specifier, { ...context, conditions: withSource(context.conditions) }),
  });
  await import(source.href);
} else if (existsSync(own) && process.env.AO_CLI !== 'spawned') {
  const env = { ...process.env, AO_CLI: 'spawned' };
  const child = spawn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit', env });
  // A terminal signals the whole group; the child ends cleanly by itself and gives the exit code.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`ao: cannot start ${own}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
} else if (existsSync(built)) {
  await import(built.href);
} else {
  process.stderr.write(
    `ao: Node ${process.version} cannot run the sources and dist/ is not built. Fix: npm install, or npm run build.\n`,
  );
  process.exit(1);
}
