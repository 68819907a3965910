import { expect, test } from 'vitest';
import { Contender } from './contender.ts';
import { interleave } from './interleave.ts';

/** A process that answers each job by `answer`, an expression over it. */
const engine = (answer: string) => ({
  file: process.execPath,
  args: [
    '-e',
    `console.log('a banner');
     let ready = false;
     require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
       const job = JSON.parse(line);
       console.log(JSON.stringify(ready ? ${answer} : { ready: { setup: job } }));
       ready = true;
     });`,
  ],
});

test('a contender says what it is, and answers jobs', async () => {
  const contender = await Contender.start<number, number>('double', engine('{ done: 2 * job }'), { threads: 3 });
  expect(contender.info).toEqual({ setup: { threads: 3 } });
  expect(await contender.run(21)).toBe(42);
  contender.stop();
});

test('its errors carry its name, those of a process that ends carry its last words', async () => {
  const failing = await Contender.start('failing', engine(`{ error: 'job ' + job }`), {});
  await expect(failing.run(7)).rejects.toThrow('failing: job 7');
  failing.stop();
  const command = { file: process.execPath, args: ['-e', 'console.error("out of luck"); process.exit(3)'] };
  await expect(Contender.start('gone', command, {})).rejects.toThrow(/gone: its process ended. out of luck/);
});

test('rounds alternate their order, and the first does not count', async () => {
  const stamp = engine('{ done: process.hrtime.bigint().toString() }');
  const a = await Contender.start<object, string>('a', stamp, {});
  const b = await Contender.start<object, string>('b', stamp, {});
  const results = await interleave([a, b], {}, 2);
  a.stop();
  b.stop();
  expect(results['a']).toHaveLength(2);
  const [a1, a2, b1, b2] = [...results['a']!, ...results['b']!].map(BigInt);
  expect(b1! < a1! && a1! < a2! && a2! < b2!).toBe(true);
});
