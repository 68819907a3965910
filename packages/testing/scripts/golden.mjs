// Copies the golden fixtures into this package and checks each file's hash against the manifest.
//   node scripts/golden.mjs [FOLDER]      FOLDER defaults to ../shared/golden beside the repository
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');
const from = resolve(process.argv[2] ?? join(root, '../shared/golden'));
const to = resolve(import.meta.dirname, '../golden');
if (!existsSync(join(from, 'manifest.json'))) {
  process.stderr.write(`no manifest.json in ${from}; the committed fixtures in ${to} stay as they are\n`);
  process.exit(process.argv[2] ? 1 : 0);
}
const manifest = JSON.parse(readFileSync(join(from, 'manifest.json'), 'utf8'));
mkdirSync(to, { recursive: true });
for (const file of ['manifest.json', 'README.md', ...Object.keys(manifest.files)]) {
  const want = manifest.files[file]?.sha256;
  const got = createHash('sha256')
    .update(readFileSync(join(from, file)))
    .digest('hex');
  if (want && want !== got) throw new Error(`${file}: sha256 ${got}, the manifest says ${want}`);
  copyFileSync(join(from, file), join(to, file));
  chmodSync(join(to, file), 0o644);
}
process.stdout.write(`${Object.keys(manifest.files).length + 2} files, ${manifest.cases.length} cases\n`);
