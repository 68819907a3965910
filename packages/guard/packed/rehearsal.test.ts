// A whole release, played against a registry on this machine; `npm run rehearse` prints the same as a log.
import { beforeAll, describe, expect, it } from 'vitest';
import { ownPlatformPackages, platformPackages, unbuilt } from '../../../scripts/lib/platform.mjs';
import { nodes } from '../src/rehearsal/hosts.ts';
import { managers, quickStart } from '../src/rehearsal/install.ts';
import { type Release, rehearse } from '../src/rehearsal/rehearse.ts';
import { publicPackages } from '../src/workspace.ts';

const names = [...publicPackages(), ...platformPackages()].map(({ manifest }) => manifest.name).sort();
const family = names.filter((name) => name.startsWith('@ao/kernels-cpu'));
const stable = /^\d+\.\d+\.\d+$/;

/** Greatest size of a package's files, in bytes. */
const ceilings: Readonly<Record<string, number>> = {
  '@ao/core': 1e6,
  '@ao/quantization': 1.2e6,
  '@ao/optim': 0.3e6,
  '@ao/qat': 0.3e6,
  '@ao/float8': 0.3e6,
  '@ao/sparsity': 0.3e6,
  '@ao/hf-integration': 1.5e6,
  '@ao/train': 0.2e6,
  '@ao/distributed': 0.3e6,
  '@ao/kernels-cpu': 0.5e6,
  '@ao/kernels-cuda': 0.1e6,
  '@ao/kernels-cuda-linux-x64': 14e6,
  '@ao/kernels-cpu-linux-x64': 15e6,
  '@ao/kernels-cpu-linux-arm64': 15e6,
};

/** What the rehearsed changes, of quantization and the kernels, do not reach. */
const onCoreAlone = ['@ao/core', '@ao/distributed', '@ao/optim', '@ao/train'];

let release: Release;
beforeAll(async () => {
  const here = nodes().map((program) => ({ name: program, program }));
  release = await rehearse(undefined, here);
});

const under = (channel: string, from = 0): Record<string, string> =>
  Object.fromEntries(
    release.published
      .slice(from)
      .filter((p) => p.channel === channel)
      .map((p) => [p.package, p.version]),
  );

describe('channels', () => {
  it('latest: every package in a plain version', () => {
    const first = release.published.slice(0, names.length);
    expect(first.map((p) => p.package)).toEqual(names);
    expect(first.filter((p) => p.channel !== 'latest' || !stable.test(p.version))).toEqual([]);
  });

  it('next: what changed and what takes it as a peer, counted up; core and what needs it alone as they were', () => {
    const { latest, next, 'next again': again, 'next ended': ended } = release.steps;
    for (const [name, n] of Object.entries(next)) {
      if (onCoreAlone.includes(name)) expect(n, name).toBe(latest[name]);
      else expect(n, name).toMatch(/^\d+\.\d+\.\d+-next\.0$/);
    }
    expect(again['@ao/quantization']).toBe(next['@ao/quantization']?.replace(/0$/, '1'));
    for (const [name, version] of Object.entries(ended)) {
      expect(version, name).toBe(again[name]?.replace(/-next\.\d+$/, ''));
      expect(version, name).toMatch(stable);
    }
  });

  it('snapshot: all packages together, none of them a plain version', () => {
    expect(Object.keys(under('snapshot'))).toEqual(names);
    const dates = Object.values(under('snapshot')).map((version) => /-snapshot-(\d{14})$/.exec(version)?.[1]);
    expect(new Set(dates).size).toBe(1);
    expect(dates[0]).toBeDefined();
  });

  it('the kernels and their platform packages are of one version at every step', () => {
    for (const versions of Object.values(release.steps))
      expect(new Set(family.map((name) => versions[name])).size).toBe(1);
  });
});

describe('provenance', () => {
  it('is asked for in the way that pnpm obeys: outside a hosted CI it refuses to publish', () =>
    expect(release.provenance).toContain('ERR_PNPM_PROVENANCE_UNSUPPORTED_PROVIDER'));
});

describe('an empty folder', () => {
  it.each(managers)(
    '%s installs every channel without scripts, and the quick start runs on native kernels',
    (manager) => {
      const by = release.installed.filter((i) => i.manager === manager);
      expect(by.map((i) => i.channel)).toEqual(['latest', 'next', 'snapshot']);
      for (const { channel, text, complaints, versions } of by) {
        expect(complaints).toBe('');
        expect(text.length).toBeGreaterThan(100);
        expect(text).toBe(release.withoutAddon.text); // the reference backend's own
        if (manager === 'yarn pnp') continue;
        const published = channel === 'latest' ? release.steps.latest : under(channel);
        for (const name of quickStart().packages)
          expect(versions[name], name).toBe(published[name] ?? release.steps.latest[name]);
      }
    },
  );

  it('without the platform package, one line says so and what to install', () => {
    const { complaints, refusal } = release.withoutAddon;
    const missing = `@ao/kernels-cpu-${process.platform}-${process.arch}`;
    expect(complaints.trim().split('\n')).toHaveLength(1);
    expect(complaints).toContain(`${missing} is not installed. Fix: npm install ${missing}@`);
    expect(refusal).toContain(
      `AoError: no addon for ${process.platform}-${process.arch}: ${missing} is not installed. Fix: npm install`,
    );
  });

  it('`npm install @ao/hf-integration` alone runs as well, and says what would make it fast', () => {
    expect(release.oneName.text).toBe(release.withoutAddon.text);
    expect(release.oneName.complaints).toMatch(
      /^ao: no native backend.*@ao\/kernels-cpu is not installed \(npm install @ao\/kernels-cpu\)\n$/,
    );
  });
});

describe('hosts', () => {
  it.each(nodes())('%s runs the quick start as ES module and as CommonJS, on native kernels', (host) => {
    const ran = release.hosted.filter((h) => h.host === host);
    expect(ran.map(({ type, program }) => `${type} ${program}`)).toEqual([
      'mjs model',
      'mjs layer',
      'cjs model',
      'cjs layer',
    ]);
    for (const { program, status, text, complaints } of ran) {
      expect([status, complaints]).toEqual([0, '']);
      expect(text).toBe(release.hosted.find((h) => h.program === program)?.text);
      if (program === 'model') expect(text).toBe(release.withoutAddon.text);
      else expect(text).toContain('int8dq');
    }
  });
});

describe('what is downloaded', () => {
  it.each(names)('%s is within its size, with README and licence', (name) => {
    for (const { unpacked, files, version } of release.published.filter((p) => p.package === name)) {
      expect(unpacked, `${name} ${version}`).toBeLessThan(ceilings[name] ?? 0);
      expect(files).toEqual(expect.arrayContaining(['package.json', 'README.md', 'LICENSE']));
      expect(files.filter((file) => /^(src|test)\/|\.tsbuildinfo$|\.npmrc$/.test(file))).toEqual([]);
    }
  });

  it('carries the addons of this platform', () => {
    expect(ownPlatformPackages().length).toBeGreaterThan(0);
    for (const platform of ownPlatformPackages()) {
      const { name, main } = platform.manifest;
      const reason = unbuilt(platform);
      const published = release.published.filter((p) => p.package === name);
      expect(published.length).toBeGreaterThan(0);
      if (reason !== '') console.log(reason);
      else for (const { files } of published) expect(files).toContain(main);
    }
  });
});
