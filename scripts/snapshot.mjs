// Part of a snapshot release: writes the changeset by which all packages take part.
import { root } from './lib/checkout.mjs';
import { snapshotChangeset } from './lib/snapshot.mjs';

snapshotChangeset(root);
