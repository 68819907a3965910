// A user's application in an empty folder: packed packages with their declared dependencies and nothing else within reach.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { platformPackages } from '../../../scripts/lib/platform.mjs';
import { root } from './workspace.ts';

export interface Application {
  readonly folder: string;
  write(file: string, text: string): void;
  copy(from: string, to: string): void;
  /** Runs a program of the application and returns its stdout; anything but exit code 0 throws with the whole output. */
  run(command: string, args: readonly string[]): string;
  [Symbol.dispose](): void;
}

/**
 * Installs `names` from their tarballs, and `others` by their ranges. pnpm keeps every package to what it declares: no hoisting, no automatic peers.
 * Other packages of ours that they depend on come from their tarballs too, third-party ones from the registry.
 */
export function application(
  names: readonly string[],
  tarballs: ReadonlyMap<string, string>,
  others: Readonly<Record<string, string>> = {},
): Application {
  const folder = mkdtempSync(join(tmpdir(), 'ao-application-'));
  const app: Application = {
    folder,
    write: (file, text) => writeFileSync(join(folder, file), text),
    copy: (from, to) => cpSync(from, join(folder, to), { recursive: true }),
    run(command, args) {
      const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
      if (status === 0) return stdout;
      throw new Error(`${command} ${args.join(' ')} ended with ${status ?? error?.message}\n${stdout}${stderr}`);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
  const file = (name: string): string => {
    const path = tarballs.get(name);
    if (path === undefined) throw new Error(`${name} is not a public package of this workspace`);
    return `file:${path}`;
  };
  app.write(
    'package.json',
    JSON.stringify({
      private: true,
      dependencies: { ...others, ...Object.fromEntries(names.map((name) => [name, file(name)])) },
    }),
  );
  app.write(
    'pnpm-workspace.yaml',
    [
      'packages: []',
      `storeDir: ${JSON.stringify(join(root, '.pnpm-store'))}`,
      'hoist: false',
      'autoInstallPeers: false',
      'strictPeerDependencies: true',
      'preferOffline: true',
      'pmOnFail: ignore',
      'strictDepBuilds: false',
      'overrides:',
      ...[...tarballs.keys()].map((name) => `  ${JSON.stringify(name)}: ${JSON.stringify(file(name))}`),
      // the registry is not asked for addons of other machines, which are not packed here
      ...platformPackages()
        .filter(({ manifest }) => !tarballs.has(manifest.name))
        .map(({ manifest }) => `  ${JSON.stringify(manifest.name)}: "-"`),
    ].join('\n'),
  );
  try {
    execFileSync('pnpm', ['install'], { cwd: folder, stdio: 'pipe' });
  } catch (error) {
    app[Symbol.dispose]();
    const { stdout, stderr } = error as { stdout?: Buffer; stderr?: Buffer };
    throw new Error(`pnpm install of ${names.join(', ')} in an empty folder failed\n${stdout}${stderr}`);
  }
  return app;
}
