// node scripts/glibc-floor.mjs FILE [VERSION]: prints the oldest glibc on which an addon opens; ends with 1 where that is newer
// than VERSION, which is the floor of released addons unless given.
import { byVersion, glibcFloor, RELEASED_FLOOR } from './lib/glibc.mjs';

const [file, wanted = RELEASED_FLOOR] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: node scripts/glibc-floor.mjs FILE [VERSION]');
const floor = glibcFloor(file);
console.log(`${file}: glibc ${floor} or newer${byVersion(floor, wanted) > 0 ? `, which is newer than ${wanted}` : ''}`);
process.exitCode = byVersion(floor, wanted) > 0 ? 1 : 0;
