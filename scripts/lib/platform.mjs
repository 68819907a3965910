// The packages that carry one compiled addon each, and where the addon of this machine comes from.
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { at } from './checkout.mjs';

/** @typedef {{ folder: string, manifest: { name: string, version: string, main: string, os: string[], cpu: string[] } }} PlatformPackage */

/** @returns {PlatformPackage[]} */
export const platformPackages = () =>
  readdirSync(at('packages'))
    .map((name) => at('packages', name))
    .filter((folder) => existsSync(`${folder}/package.json`))
    .map((folder) => ({ folder, manifest: JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) }))
    .filter(({ manifest }) => manifest.os !== undefined);

/** Those that this machine's own build fits. */
export const ownPlatformPackages = () =>
  platformPackages().filter(
    ({ manifest }) => manifest.os.includes(process.platform) && manifest.cpu.includes(process.arch),
  );

/** Why the addon of a platform package may be absent where all others are built: '' where it is there or has to be.
 * @param {PlatformPackage} platform */
export function unbuilt({ manifest }) {
  const family = familyOf(manifest.name);
  if (existsSync(at('packages', family, 'build/Release', manifest.main)) || !/-cuda$/.test(family)) return '';
  return `${manifest.name} is left out: its addon is built where nvcc is (pnpm --filter @ao/${family} build:cuda)`;
}

/** '@ao/kernels-cpu-linux-x64' -> 'kernels-cpu'. @param {string} name */
const familyOf = (name) => name.slice('@ao/'.length).replace(/-[a-z0-9]+-[a-z0-9]+$/, '');

/** Copies an addon into a folder that holds (a copy of) its platform package: the one built here, this machine's own or
 * cross-compiled, or the one in `prebuilt`.
 * @param {PlatformPackage} platform @param {string} folder @param {string} [prebuilt] */
export function placeAddon({ manifest }, folder, prebuilt) {
  const family = familyOf(manifest.name);
  const own = manifest.cpu.includes(process.arch);
  const here = own
    ? at('packages', family, 'build/Release', manifest.main)
    : at('build', `${manifest.cpu}`, 'Release', manifest.main);
  const built = prebuilt === undefined ? here : `${prebuilt}/addon-${manifest.os}-${manifest.cpu}/${manifest.main}`;
  const fix = /-cuda$/.test(family)
    ? `pnpm --filter @ao/${family} build:cuda`
    : own
      ? 'npm run setup'
      : `npm test -- --only ${manifest.cpu}`;
  if (!existsSync(built))
    throw new Error(`${manifest.name} needs ${built}${prebuilt === undefined ? `: run ${fix}` : ''}`);
  copyFileSync(built, `${folder}/${manifest.main}`);
}
