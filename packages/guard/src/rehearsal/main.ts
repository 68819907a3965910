// `npm run rehearse`: plays a whole release and prints its log.
import { table } from '../table.ts';
import { rehearse } from './rehearse.ts';

const kilobytes = (bytes: number): string => `${(bytes / 1e3).toFixed(0)} kB`;
const release = await rehearse((line) => console.log(`  ${line}`));
console.log('\nPublished');
console.log(
  table(
    ['package', 'channel', 'version', 'packed', 'unpacked'],
    release.published.map((p) => [p.package, p.channel, p.version, kilobytes(p.packed), kilobytes(p.unpacked)]),
  ),
);
if (release.hollow.length > 0)
  console.log(`without an addon, as none was built here (npm test -- --only arm64): ${release.hollow.join(', ')}`);
console.log('\nInstalled in an empty folder, no install scripts run');
console.log(
  table(
    ['channel', 'by', 'packages', 'quick start'],
    [
      ...release.installed.map((i) => [i.channel, i.manager, i.asked.join(' '), i.text.slice(0, 40)]),
      ['latest', 'npm --omit=optional', 'the same', release.withoutAddon.complaints.trim()],
      ['latest', 'npm', '@ao/hf-integration', release.oneName.complaints.trim()],
    ],
  ),
);
