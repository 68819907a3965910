// Part of a release, on a machine of each platform: puts the addon built here into its platform package, to be published.
import { ownPlatformPackages, placeAddon } from './lib/platform.mjs';

for (const platform of ownPlatformPackages()) {
  placeAddon(platform, platform.folder);
  console.log(`${platform.manifest.name} ${platform.manifest.version}: ${platform.manifest.main} in place`);
}
