// A snapshot is of all packages at once: a pre-release of core alone is outside the range `^x.y.z` that its dependents take,
// so none of them could be installed beside it.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes a changeset that steps every public package. @param {string} root of the checkout, or of a copy of it */
export function snapshotChangeset(root) {
  const names = readdirSync(join(root, 'packages'))
    .map((name) => join(root, 'packages', name, 'package.json'))
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')))
    .filter((manifest) => manifest.private !== true)
    .map(({ name }) => `'${name}': patch`);
  writeFileSync(join(root, '.changeset/snapshot.md'), `---\n${names.join('\n')}\n---\n\nA snapshot.\n`);
}
