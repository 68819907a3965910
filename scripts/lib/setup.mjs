// Set-up of the checkout: pnpm, then all dependencies, then the native kernels. Every step says what it does, is skipped when
// nothing it depends on has changed, and installs into the checkout only.
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { at, tools } from './checkout.mjs';
import { compilers } from './compilers.mjs';
import { run } from './run.mjs';

/** @param {string} text */
const say = (text) => process.stderr.write(`set-up: ${text}\n`);

const manifest = JSON.parse(readFileSync(at('package.json'), 'utf8'));
const pnpmVersion = manifest.packageManager.split('@')[1];
const stampFile = at('node_modules/.ao-setup.json');

/** @returns {Record<string, string>} */
const readStamp = () => (existsSync(stampFile) ? JSON.parse(readFileSync(stampFile, 'utf8')) : {});
/** @param {string} step @param {string} hash */
const writeStamp = (step, hash) => writeFileSync(stampFile, JSON.stringify({ ...readStamp(), [step]: hash }));

/** @param {readonly string[]} files */
function hashFiles(files) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${pnpmVersion}`);
  for (const file of files) if (existsSync(at(file))) hash.update(`\0${file}\0`).update(readFileSync(at(file)));
  return hash.digest('hex');
}

/** @param {string} folder @returns {string[]} */
function filesBelow(folder) {
  if (!existsSync(at(folder))) return [];
  return readdirSync(at(folder), { withFileTypes: true })
    .filter((entry) => !/^(build|build-.*|node_modules)$/.test(entry.name))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`]))
    .sort();
}

/** @param {string} what @param {string} command @param {readonly string[]} args */
async function step(what, command, args) {
  const start = Date.now();
  say(`${what} ...`);
  const { code, output } = await run(command, args);
  if (code !== 0) throw new Error(`${what}: '${command} ${args.join(' ')}' ended with code ${code}\n${output}`);
  say(`${what}: done in ${((Date.now() - start) / 1000).toFixed(1)} s`);
}

async function installPnpm() {
  const installed = join(tools, 'node_modules/pnpm/package.json');
  if (existsSync(installed) && JSON.parse(readFileSync(installed, 'utf8')).version === pnpmVersion) return;
  mkdirSync(tools, { recursive: true });
  const quiet = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  await step(`installing pnpm ${pnpmVersion} into .tools with npm`, 'npm', [
    'install',
    '--prefix',
    tools,
    ...quiet,
    `pnpm@${pnpmVersion}`,
  ]);
}

async function installDependencies() {
  const hash = hashFiles(['pnpm-lock.yaml', 'pnpm-workspace.yaml']);
  if (readStamp()['install'] !== hash) {
    await step('installing dependencies and Node 24 into node_modules with pnpm', 'pnpm', [
      'install',
      '--frozen-lockfile',
    ]);
    writeStamp('install', hash);
  }
  // what `npx ao` finds: set-up first, then the CLI
  const link = at('node_modules/.bin/ao');
  const target = '../../scripts/ao.mjs';
  if (!lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() || readlinkSync(link) !== target) {
    rmSync(link, { force: true });
    symlinkSync(target, link);
  }
  const major = Number(process.versions.node.split('.')[0]);
  if (!existsSync(at('node_modules/.bin/node')) && major < 24)
    throw new Error(`npm has no Node 24 for ${process.platform}-${process.arch}: install Node 24 and run this with it`);
}

/** Builds the addon of the cpu backend, by turbo's cache where it has seen these sources before. */
export async function buildNative() {
  const { missing, fix } = compilers();
  if (missing.length) throw new Error(`${missing.join(' and ')} not found. Install with: ${fix}`);
  const sources = [...filesBelow('kernels/cpu'), ...filesBelow('packages/kernels-cpu/binding')];
  const hash = hashFiles([
    ...sources,
    'packages/kernels-cpu/CMakeLists.txt',
    'packages/kernels-cpu/package.json',
    'turbo.json',
  ]);
  const folder = at('packages/kernels-cpu/build/Release');
  const built = existsSync(folder) && readdirSync(folder).some((file) => file.endsWith('.node'));
  if (built && readStamp()['native'] === hash) return;
  await step('building the native cpu kernels', 'turbo', ['run', 'build:native', '--output-logs=errors-only']);
  writeStamp('native', hash);
}

/** `native`: 'build' the kernels, only 'check' that they could be built, or 'none'. @typedef {'build' | 'check' | 'none'} Native */

/** @param {Native} native */
export async function setup(native) {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) throw new Error(`Node ${process.versions.node} is too old: Node 20 or newer is needed`);
  if (native !== 'none') {
    const { missing, fix } = compilers();
    const without = native === 'build' ? '\n(AO_NATIVE=0 goes on without native kernels.)' : '';
    if (missing.length) throw new Error(`${missing.join(' and ')} not found. Install with: ${fix}${without}`);
  }
  await installPnpm();
  await installDependencies();
  if (native === 'build') await buildNative();
}

/** Runs set-up for a command; what fails is told in plain words.
 * @param {Native} [native] @returns {Promise<boolean>} */
export async function ready(native = process.env['AO_NATIVE'] === '0' ? 'none' : 'build') {
  try {
    await setup(native);
    return true;
  } catch (error) {
    process.stderr.write(`set-up failed: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
    return false;
  }
}
