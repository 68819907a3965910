// What every source file keeps to: a size one can read at once, and no trace of the machine it was written on.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packagesIn, repositoryFiles, root } from '../src/workspace.ts';

const ceiling = 400;
const sources = repositoryFiles('*.ts', '*.mjs', '*.js', '*.cc', '*.h', '*.inc', '*.cu', '*.cuh', '*.py').filter(
  (file) => !/(^|\/)(golden|generated)\//.test(file),
);
const text = (file: string): string => readFileSync(join(root, file), 'utf8');

describe('source files', () => {
  it(`have at most ${ceiling} lines`, () => {
    const long = sources
      .map((file) => [file, text(file).split('\n').length - 1] as const)
      .filter(([, n]) => n > ceiling);
    expect(long).toEqual([]);
  });

  it('name no path of a machine', () => {
    const path = new RegExp(`(?<![\\w.$*)}-])/(?:${['work', 'root', 'home', 'tmp'].join('|')})/`);
    const prose = repositoryFiles('*.md', '*.json', '*.yaml', '*.txt', '.ci/*').filter(
      (file) => !/(^|\/)golden\//.test(file),
    );
    const found = [...sources, ...prose].flatMap((file) =>
      text(file)
        .split('\n')
        .flatMap((line, i) => (path.test(line) ? [`${file}:${i + 1}: ${line.trim().slice(0, 100)}`] : [])),
    );
    expect(found).toEqual([]);
  });

  it('are files, not links', () => {
    const listed = execFileSync('git', ['ls-files', '--stage'], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
    expect(listed.split('\n').filter((line) => line.startsWith('120000'))).toEqual([]);
  });

  it('leave no binary behind but goldens and the bundled model', () => {
    const large = repositoryFiles().filter(
      (file) => !/(^|\/)(golden|stories-7m)\//.test(file) && statSync(join(root, file)).size > 400_000,
    );
    expect(large).toEqual([]);
    expect(repositoryFiles('*.node', '*.so', '*.o', '*.a')).toEqual([]);
  });
});

describe('sources of packages', () => {
  it('import siblings only by package name, and only declared ones', () => {
    const wrong = packagesIn('packages').flatMap(({ folder, short, manifest }) => {
      const declared = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
      return repositoryFiles(`packages/${short}/src/*.ts`)
        .filter((file) => !file.endsWith('.test.ts'))
        .flatMap((file) =>
          [...text(file).matchAll(/^(?:import|export)[^'"]*?from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm)]
            .map((match) => match[1] ?? match[2] ?? match[3] ?? '')
            .filter((from) => {
              if (from.startsWith('.'))
                return !join(root, file, '..', from).startsWith(folder) && !from.includes('/scripts/lib/');
              const name = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : from.split('/')[0];
              const internal = manifest.private === true;
              return !from.startsWith('node:') && !internal && !(String(name) in declared);
            })
            .map((from) => `${file} imports ${from}`),
        );
    });
    expect(wrong).toEqual([]);
  });

  it('core needs no Node', () => {
    const wrong = repositoryFiles('packages/core/src/*.ts')
      .filter((file) => !file.endsWith('.test.ts'))
      .filter((file) => /from 'node:|require\(|\bprocess\.|\bBuffer\.(from|alloc)/.test(text(file)));
    expect(wrong).toEqual([]);
  });
});
