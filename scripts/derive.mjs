// `pnpm derive`: writes the fields of manifests and sources that follow from others; part of `pnpm format` and of a release.
import { writeDerived } from './lib/manifests.mjs';

for (const file of writeDerived()) console.log(`wrote ${file}`);
