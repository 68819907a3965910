// Every package has the same shape, so that whoever knows one knows all.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { origin, published } from '../../../scripts/lib/manifests.mjs';
import { platformPackages } from '../../../scripts/lib/platform.mjs';
import { packagesIn, requiredPeers, root } from '../src/workspace.ts';

const exportsMap = {
  '.': {
    '@ao/source': './src/index.ts',
    import: { types: './dist/index.d.ts', default: './dist/index.js' },
    require: { types: './dist/index.d.cts', default: './dist/index.cjs' },
  },
};

describe.each(packagesIn('packages'))('$manifest.name', ({ folder, short, manifest }) => {
  it('has the files that every package has', () => {
    const files = ['README.md', 'package.json', 'tsconfig.json', 'tsup.config.ts', 'vitest.config.ts', 'src/index.ts'];
    expect(files.filter((file) => !existsSync(join(folder, file)))).toEqual([]);
  });

  it('is named after its folder and says what it is', () => {
    expect(manifest.name).toBe(`@ao/${short}`);
    expect(String(manifest['description'])).toMatch(/^\S.{20,}/);
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toMatch(new RegExp(`^# ${manifest.name}\n`));
  });

  it('is ESM and CJS, free of side effects, for Node 20 and newer', () => {
    expect(manifest).toMatchObject({
      type: 'module',
      license: 'BSD-3-Clause',
      sideEffects: false,
      engines: { node: '>=20' },
      main: './dist/index.cjs',
      module: './dist/index.js',
      types: './dist/index.d.ts',
    });
    expect(manifest.exports).toMatchObject(exportsMap);
  });

  it('publishes what it built, and no install script', () => {
    for (const script of ['preinstall', 'install', 'postinstall', 'prepare'])
      expect(Object.keys(manifest['scripts'] ?? {})).not.toContain(script);
    if (manifest.private === true) return;
    expect(manifest['files']).toContain('dist');
    expect(manifest['files']).not.toContain('src');
    expect(manifest.publishConfig?.exports, '`npm run format` writes this').toEqual(published(manifest.exports ?? {}));
    expect(manifest.publishConfig?.['access']).toBe('public');
  });

  it('says where it comes from and what to find it by', () => {
    if (manifest.private === true) return;
    expect(manifest, '`npm run format` writes this').toMatchObject(origin(short));
    expect(manifest['keywords']).toEqual(expect.arrayContaining(['torchao', 'typescript']));
  });

  it('takes core and every sibling as a peer, never as a copy of its own', () => {
    const own = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith('@ao/'));
    expect(own).toEqual([]);
    for (const range of Object.entries(manifest.peerDependencies ?? {}))
      if (range[0].startsWith('@ao/')) expect(range[1]).toBe('workspace:^');
  });
});

/** Who may depend on whom. Optional peers are not in it: a package looks for them at run time and works without. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  core: [],
  quantization: ['core'],
  optim: ['core'],
  'kernels-cpu': ['core'],
  'kernels-cuda': ['core', 'kernels-cpu'],
  qat: ['core', 'quantization'],
  float8: ['core', 'quantization'],
  sparsity: ['core', 'quantization'],
  'hf-integration': ['core', 'quantization'],
  train: ['core'],
  distributed: ['core'],
};

describe('dependencies', () => {
  it.each(packagesIn('packages').filter(({ manifest }) => manifest.private !== true))(
    '$manifest.name imports only what it may',
    ({ short, manifest }) => {
      const siblings = [...Object.keys(manifest.dependencies ?? {}), ...requiredPeers(manifest)]
        .filter((name) => name.startsWith('@ao/'))
        .map((name) => name.slice('@ao/'.length));
      expect(siblings.sort()).toEqual(allowed[short]);
    },
  );

  it('core knows its version', () => {
    const core = packagesIn('packages').find(({ short }) => short === 'core');
    const identity = readFileSync(join(root, 'packages/core/src/identity.ts'), 'utf8');
    expect(identity, '`npm run format` writes this').toContain(`VERSION = '${core?.manifest.version}'`);
  });

  it('core depends on nothing', () => {
    const core = packagesIn('packages').find(({ short }) => short === 'core');
    expect([core?.manifest.dependencies, core?.manifest.optionalDependencies]).toEqual([undefined, undefined]);
  });
});

describe.each(platformPackages())('$manifest.name', ({ folder, manifest }) => {
  const family = packagesIn('packages').find(({ manifest: { name } }) => manifest.name.startsWith(`${name}-`));

  it('is named after its platform and carries one addon', () => {
    expect(manifest.name).toBe(`${family?.manifest.name}-${manifest.os}-${manifest.cpu}`);
    expect(manifest).toMatchObject({
      files: [manifest.main],
      license: 'BSD-3-Clause',
      publishConfig: { access: 'public' },
    });
    expect(manifest.main).toMatch(/\.node$/);
    expect(existsSync(join(folder, 'README.md'))).toBe(true);
    expect(manifest, '`npm run format` writes this').toMatchObject(origin(manifest.name.slice('@ao/'.length)));
    expect(manifest).toMatchObject({ keywords: expect.arrayContaining(['torchao']) as string[] });
  });

  it('comes with its family, in the same version', () => {
    expect(family?.manifest.optionalDependencies).toMatchObject({ [manifest.name]: 'workspace:*' });
    expect(manifest.version).toBe(family?.manifest.version);
  });
});

describe('the root', () => {
  it.each(['README.md', 'CONTRIBUTING.md'])('%s names commands that package.json has', (file) => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
    const named = [...readFileSync(join(root, file), 'utf8').matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(
      ([, name]) => name,
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !(String(name) in scripts))).toEqual([]);
  });

  it('has every file of the layout', () => {
    const files = [
      'LICENSE',
      'README.md',
      'ARCHITECTURE.md',
      'CONTRIBUTING.md',
      'turbo.json',
      'tsconfig.base.json',
      '.ci/run',
    ];
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});
