// Part of a release: puts the addons into their platform packages, to be published. They are those built here, this machine's and
// the cross-compiled, or with `--from FOLDER` those of FOLDER/addon-<os>-<cpu>, each built on its own platform.
import { parseArgs } from 'node:util';
import { placeAddon, platformPackages } from './lib/platform.mjs';

const { values } = parseArgs({ options: { from: { type: 'string' } } });
for (const platform of platformPackages()) {
  placeAddon(platform, platform.folder, values.from);
  console.log(`${platform.manifest.name} ${platform.manifest.version}: ${platform.manifest.main} in place`);
}
