// Runs the example that lives outside the workspace as its author would: on the packed packages, in a folder of its own.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { application } from './application.ts';
import { packageTarballs } from './pack.ts';
import { type Manifest, root } from './workspace.ts';

const example = join(root, 'apps/examples/out-of-tree');
const manifest = JSON.parse(readFileSync(join(example, 'package.json'), 'utf8')) as Manifest;
const wanted = Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.devDependencies });
const ours = wanted.map(([name]) => name).filter((name) => name.startsWith('@ao/'));
const others = Object.fromEntries(wanted.filter(([name]) => !ours.includes(name)));

using app = application(ours, packageTarballs(), others);
app.copy(example, 'example');
process.stdout.write(app.run('npm', ['test', '--silent', '--prefix', 'example']));
