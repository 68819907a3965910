import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { foreignCpus, readLoad } from './load.ts';

test('foreign CPUs are what is busy beyond our own, per time, over all CPUs', () => {
  const from = { busy: 100, all: 1000, own: 50, cpus: 2 };
  // 100 ticks of each of two CPUs passed: 150 of them busy, 110 of these ours
  expect(foreignCpus(from, { busy: 250, all: 1200, own: 160, cpus: 2 })).toBeCloseTo(0.4, 12);
  expect(foreignCpus(from, { busy: 110, all: 1200, own: 62, cpus: 2 })).toBe(0);
  expect(foreignCpus(from, { busy: 150, all: 1099, own: 50, cpus: 2 })).toBeUndefined();
});

test.runIf(existsSync('/proc/stat'))(
  'work of children counts as our own, while they run and after they ended',
  async () => {
    const spin = ['-e', 'while (process.cpuUsage().user < 300_000);'];
    const before = readLoad()!;
    execFileSync(process.execPath, spin);
    const ended = readLoad()!;
    expect(ended.own - before.own).toBeGreaterThan(10);
    const child = spawn(process.execPath, ['-e', 'for (;;);']);
    try {
      while (readLoad()!.own - ended.own < 10) await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      child.kill();
    }
  },
);
