// What follows from other fields of a package.json, or from it elsewhere, and so is written, never typed.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { at } from './checkout.mjs';

/** @typedef {{ [key: string]: string | Exports }} Exports */

/** The exports that users get: no condition that points to the sources, which are not published.
 * @param {Exports} exports @returns {Exports} */
export const published = (exports) =>
  Object.fromEntries(
    Object.entries(exports)
      .filter(([key]) => key !== '@ao/source')
      .map(([key, value]) => [key, typeof value === 'string' ? value : published(value)]),
  );

/** Where a public package comes from, which npm compares with the provenance that it is published with: the root's repository.
 * @param {string} name of its folder */
export function origin(name) {
  const { repository } = JSON.parse(readFileSync(at('package.json'), 'utf8'));
  const page = repository.url.replace(/^git\+|\.git$/g, '');
  return {
    homepage: `${page}/tree/main/packages/${name}#readme`,
    bugs: `${page}/issues`,
    repository: { ...repository, directory: `packages/${name}` },
  };
}

/** Writes publishConfig and origin of every public package, and core's version into its source. Returns the files that changed. */
export function writeDerived() {
  /** @type {string[]} */
  const changed = [];
  /** @param {string} file @param {string} text */
  const write = (file, text) => {
    if (readFileSync(file, 'utf8') === text) return;
    writeFileSync(file, text);
    changed.push(file.slice(at().length + 1));
  };
  for (const name of readdirSync(at('packages'))) {
    const file = at('packages', name, 'package.json');
    if (!existsSync(file)) continue;
    const manifest = JSON.parse(readFileSync(file, 'utf8'));
    if (manifest.private) continue;
    Object.assign(manifest, origin(name));
    if (manifest.exports) manifest.publishConfig = { access: 'public', exports: published(manifest.exports) };
    write(file, `${JSON.stringify(manifest, null, 2)}\n`);
  }
  const { version } = JSON.parse(readFileSync(at('packages/core/package.json'), 'utf8'));
  const identity = at('packages/core/src/identity.ts');
  write(identity, readFileSync(identity, 'utf8').replace(/(VERSION = ')[^']*'/, `$1${version}'`));
  return changed;
}
