// `npm test`: sets up, then runs every stage and closes with one line over all runners. Stages go on after a failure.
//   npm test -- --only lint,types    these stages        npm test -- --list    what there is
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { at, tools } from './lib/checkout.mjs';
import { sum } from './lib/counts.mjs';
import { run } from './lib/run.mjs';
import { ready } from './lib/setup.mjs';
import { stages } from './lib/stages.mjs';
import { native } from './stages/native.mjs';

const { values } = parseArgs({
  options: { only: { type: 'string' }, skip: { type: 'string' }, list: { type: 'boolean' } },
});
const only = values.only?.split(',');
const skip = values.skip?.split(',') ?? [];
const unknown = [...(only ?? []), ...skip].filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length) {
  console.error(`unknown stage ${unknown.join(', ')}; there are ${stages.map((stage) => stage.name).join(', ')}`);
  process.exit(2);
}
if (values.list) {
  for (const { name, about } of stages) console.log(`${name.padEnd(16)} ${about}`);
  process.exit(0);
}

/** @param {number} from */
const seconds = (from) => `${((Date.now() - from) / 1000).toFixed(1)} s`;

/** @param {import('./lib/stages.mjs').Stage} stage @returns {Promise<import('./lib/counts.mjs').Counts>} */
async function perform(stage) {
  const start = Date.now();
  console.log(`== ${stage.name}: ${stage.about}`);
  let log = '';
  /** @type {import('./lib/counts.mjs').Counts | string} */
  let result;
  try {
    result = await stage.run({
      async exec(command, args, options) {
        const done = await run(command, args, options);
        log += `$ ${command} ${args.join(' ')}\n${done.output}\n(exit code ${done.code})\n\n`;
        return done;
      },
    });
  } catch (error) {
    log += error instanceof Error ? error.message : String(error);
    result = { passed: 0, failed: 1, skipped: 0 };
  }
  const file = `${tools}/logs/${stage.name}.log`;
  writeFileSync(file, log);
  if (typeof result === 'string') {
    console.log(`   nothing run: ${result}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  // the full output of what failed, each line marked so that no runner's own summary reads as ours
  if (result.failed) console.log(log.trimEnd().replace(/^/gm, '   | '));
  for (const reason of result.reasons ?? []) console.log(`   skipped ${reason}`);
  const skipped = result.skipped ? `, ${result.skipped} skipped` : '';
  console.log(
    `   ${result.failed ? 'FAILED' : 'ok'} (${result.passed} passed, ${result.failed} failed${skipped}) in ${seconds(start)}, log: ${file.slice(at().length + 1)}`,
  );
  return result;
}

const selected = stages.filter(({ name }) => (only?.includes(name) ?? true) && !skip.includes(name));
const needed = selected.some((stage) => stage.native) ? (selected.includes(native) ? 'check' : 'build') : 'none';
const start = Date.now();
mkdirSync(`${tools}/logs`, { recursive: true });
mkdirSync(at('build'), { recursive: true });
const all = [];
if (await ready(needed)) {
  console.log(`== set-up: ready in ${seconds(start)}`);
  for (const stage of selected) all.push(await perform(stage));
} else all.push({ passed: 0, failed: 1, skipped: 0 });
const total = sum(all);
console.log(
  `== all stages in ${seconds(start)}${total.skipped ? `; ${total.skipped} skipped, each with its reason above` : ''}`,
);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed ? 1 : 0;
