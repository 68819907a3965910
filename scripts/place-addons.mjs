// Part of a release: puts the addons built here, this machine's and the cross-compiled, into their platform packages, to be published.
import { placeAddon, platformPackages } from './lib/platform.mjs';

for (const platform of platformPackages()) {
  placeAddon(platform, platform.folder);
  console.log(`${platform.manifest.name} ${platform.manifest.version}: ${platform.manifest.main} in place`);
}
