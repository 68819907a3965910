// A process that waits uses no CPU: the stream's thread and the pool sleep once their work is done.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { backendFor, busy } from './helpers.ts';

const TASKS = '/proc/self/task';

interface Thread {
  readonly state: string;
  /** Clock ticks of 10 ms that it has computed. */
  readonly ticks: number;
}

function threads(): Map<string, Thread> {
  const found = new Map<string, Thread>();
  for (const id of readdirSync(TASKS)) {
    try {
      // pid (name) state ppid ...; utime and stime are fields 14 and 15
      const fields = readFileSync(`${TASKS}/${id}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
      found.set(id, { state: fields[0]!, ticks: Number(fields[11]) + Number(fields[12]) });
    } catch {
      // a thread that ended meanwhile
    }
  }
  return found;
}

describe.runIf(process.platform === 'linux')('an idle backend', () => {
  it('has its threads asleep', async () => {
    const before = new Set(threads().keys());
    const backend = backendFor({ threads: 2 });
    const work = backend.alloc(64 << 20);
    busy(backend, work, 20);
    await backend.sync();
    const own = [...threads().keys()].filter((id) => !before.has(id));
    // the stream and one more of the pool, or the stream alone where another backend brought the pool
    expect(own.length).toBeGreaterThan(0);
    const states = () => own.map((id) => threads().get(id)?.state);
    await vi.waitFor(() => expect(states()).toEqual(own.map(() => 'S')), { timeout: 5000 });
    const computed = () => own.map((id) => threads().get(id)?.ticks);
    const then = computed();
    await wait(300);
    expect(states()).toEqual(own.map(() => 'S'));
    expect(computed()).toEqual(then);
  });
});
