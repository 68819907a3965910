// `npm run rehearse`: plays a whole release and prints its log.
import { table } from '../table.ts';
import { hosts } from './hosts.ts';
import { type Hosted, rehearse } from './rehearse.ts';

const kilobytes = (bytes: number): string => `${(bytes / 1e3).toFixed(0)} kB`;
const on = hosts();
const release = await rehearse((line) => console.log(`  ${line}`), on);
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

console.log('\nHosts: the quick start (model) and quantize_ of a layer (layer), installed by npm');
const layer = release.hosted.find((h) => h.program === 'layer')?.text;
const verdict = ({ status, program, text, complaints }: Hosted): string => {
  if (status !== 0) return `ended with ${status}: ${complaints.trim().split('\n')[0]}`;
  if (complaints !== '') return complaints.trim();
  return text === (program === 'model' ? release.withoutAddon.text : layer) ? 'ok, native' : 'other text';
};
console.log(
  table(
    ['host', 'module', 'program', 'result'],
    [
      ...release.hosted.map((h) => [h.host, h.type, h.program, verdict(h)]),
      ...on.flatMap(({ name, program }) => (typeof program === 'string' ? [] : [[name, '', '', program.absent]])),
    ],
  ),
);
process.exitCode = release.hosted.every((h) => verdict(h) === 'ok, native') ? 0 : 1;
