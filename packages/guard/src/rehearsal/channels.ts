// The three release channels as CONTRIBUTING has them, played on a copy against a registry: latest, next with its end, snapshot.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { placeAddon, platformPackages } from '../../../../scripts/lib/platform.mjs';
import { publicPackages, root } from '../workspace.ts';
import type { Registry } from './registry.ts';
import { type ReleaseCopy, releaseCopy } from './release-copy.ts';

export type Channel = 'latest' | 'next' | 'snapshot';

/** A version that the registry did not have before. Bytes are those of the tarball, and of its files. */
export interface Published {
  readonly package: string;
  readonly channel: Channel;
  readonly version: string;
  readonly packed: number;
  readonly unpacked: number;
  readonly files: readonly string[];
}

export interface Rehearsal {
  readonly copy: ReleaseCopy;
  /** Packages without their addon, as none was built here for their platform; they are published all the same. */
  readonly withoutAddon: readonly string[];
  /** Writes a changeset: package -> kind of step. */
  change(steps: Readonly<Record<string, 'patch' | 'minor'>>): void;
  /** What `pnpm publish` of core says with the variables by which the release workflow asks for provenance. */
  provenance(): string;
  /** `changeset publish`; what the registry has more, and under which tag. */
  publish(channel: Channel): Promise<Published[]>;
  [Symbol.dispose](): void;
}

/** Packages must have been built. Nothing outside the copy is written, and its .npmrc knows `registry` alone. */
export function startRehearsal(registry: Registry): Rehearsal {
  const home = mkdtempSync(join(tmpdir(), 'ao-home-'));
  const env = { ...process.env, HOME: home, NO_COLOR: '1', CI: '1' };
  writeFileSync(join(home, '.npmrc'), registry.token);
  const copy = releaseCopy(['.changeset/*.md', 'LICENSE', 'packages/*/README.md'], env);
  copy.write('.npmrc', registry.npmrc);
  const names = Object.keys(copy.versions());
  for (const { folder, manifest, short } of publicPackages()) {
    if (!existsSync(join(folder, 'dist'))) throw new Error(`${manifest.name} is not built: run npm run build`);
    cpSync(join(folder, 'dist'), copy.at(`packages/${short}/dist`), { recursive: true });
    link(copy, short, [
      ...Object.keys(manifest.peerDependencies ?? {}),
      ...Object.keys(manifest.optionalDependencies ?? {}),
    ]);
  }
  const withoutAddon: string[] = [];
  for (const platform of platformPackages()) {
    try {
      placeAddon(platform, copy.at(`packages/${platform.manifest.name.slice('@ao/'.length)}`));
    } catch {
      withoutAddon.push(platform.manifest.name);
    }
  }
  let changes = 0;
  return {
    copy,
    withoutAddon,
    change(steps) {
      const front = Object.entries(steps).map(([name, step]) => `'${name}': ${step}`);
      copy.write(`.changeset/rehearsal-${changes++}.md`, `---\n${front.join('\n')}\n---\n\nRehearsed.\n`);
    },
    provenance() {
      const workflow = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8');
      const asked = [...workflow.matchAll(/^ +(\w+_PROVENANCE): ["'](\w+)["']$/gm)].map(([, name, value]) => [
        name,
        value,
      ]);
      // no word of a hosted CI that this may itself run in
      const hosted = Object.entries(env).filter(([name]) => !/^(GITHUB|GITLAB|ACTIONS|SIGSTORE)/.test(name));
      const { stdout, stderr } = spawnSync('pnpm', ['publish', '--no-git-checks'], {
        cwd: copy.at('packages/core'),
        env: { ...Object.fromEntries(hosted), ...Object.fromEntries(asked) },
        encoding: 'utf8',
      });
      return stdout + stderr;
    },
    async publish(channel) {
      const before = await versionsIn(registry, names);
      // in pre mode changesets takes the tag from the mode itself
      const output = copy.changeset(
        'publish',
        '--no-git-tag',
        ...(channel === 'snapshot' ? ['--tag', 'snapshot'] : []),
      );
      const published: Published[] = [];
      for (const name of names) {
        const { versions, 'dist-tags': tags } = await registry.packument(name).catch((error) => {
          throw new Error(`${name} was not published: ${error}\n${output}`);
        });
        for (const version of Object.keys(versions)) {
          if (before.has(`${name}@${version}`)) continue;
          if (tags[channel] !== version)
            throw new Error(`${name}@${version} is not under the tag ${channel}:\n${output}`);
          published.push({ package: name, channel, version, ...(await sizes(versions[version]!.dist.tarball)) });
        }
      }
      return published;
    },
    [Symbol.dispose]() {
      copy[Symbol.dispose]();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Siblings as pnpm would link them: it reads from there which version `workspace:^` is. */
function link(copy: ReleaseCopy, short: string, dependencies: readonly string[]): void {
  for (const name of dependencies.filter((dependency) => dependency.startsWith('@ao/'))) {
    const at = copy.at(`packages/${short}/node_modules/${name}`);
    mkdirSync(dirname(at), { recursive: true });
    symlinkSync(copy.at(`packages/${name.slice('@ao/'.length)}`), at);
  }
}

async function versionsIn(registry: Registry, names: readonly string[]): Promise<Set<string>> {
  const all = await Promise.all(
    names.map(async (name) => {
      const packument = await registry.packument(name).catch(() => ({ versions: {} }));
      return Object.keys(packument.versions).map((version) => `${name}@${version}`);
    }),
  );
  return new Set(all.flat());
}

/** What npm would download and write: from the registry's own tarball. */
async function sizes(url: string): Promise<Pick<Published, 'packed' | 'unpacked' | 'files'>> {
  const tarball = Buffer.from(await (await fetch(url, { headers: { connection: 'close' } })).arrayBuffer());
  const listed = execFileSync('tar', ['-tvzf', '-'], { input: tarball, encoding: 'utf8', cwd: root });
  const entries = listed
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/));
  return {
    packed: tarball.length,
    unpacked: entries.reduce((sum, entry) => sum + Number(entry[2]), 0),
    files: entries.map((entry) => String(entry[5]).replace(/^package\//, '')),
  };
}
