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

/** Copies an addon into a folder that holds (a copy of) its platform package: the one built here, this machine's own or
 * cross-compiled, or the one in `prebuilt`.
 * @param {PlatformPackage} platform @param {string} folder @param {string} [prebuilt] */
export function placeAddon({ manifest }, folder, prebuilt) {
  const family = manifest.name.slice('@ao/'.length).replace(/-[a-z0-9]+-[a-z0-9]+$/, '');
  const own = manifest.cpu.includes(process.arch);
  const here = own
    ? at('packages', family, 'build/Release', manifest.main)
    : at('build', `${manifest.cpu}`, 'Release', manifest.main);
  const built = prebuilt === undefined ? here : `${prebuilt}/addon-${manifest.os}-${manifest.cpu}/${manifest.main}`;
  const fix = own ? 'npm run setup' : `npm test -- --only ${manifest.cpu}`;
  if (!existsSync(built))
    throw new Error(`${manifest.name} needs ${built}${prebuilt === undefined ? `: run ${fix}` : ''}`);
  copyFileSync(built, `${folder}/${manifest.main}`);
}
