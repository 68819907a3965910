// Streams end with their environment: workers terminated at work, processes that exit at work.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const cwd = fileURLToPath(new URL('..', import.meta.url));
const node = (...args: string[]): string =>
  execFileSync(process.execPath, ['--conditions=@ao/source', '--no-warnings', ...args], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  });
const run = (code: string): string =>
  node(
    '--input-type=module',
    '-e',
    `import { openBackend } from './src/open.ts'; const b = openBackend(); const x = b.alloc(1 << 22);
    const work = (n) => { for (let i = 0; i < n; i++) b.calls.fill(x.ptr, 1 << 20, 0, i); }; ${code}`,
  );

describe('an environment that ends', () => {
  it('as terminated workers', () => {
    expect(node('stress/workers.mjs', '7', '3')).toMatch(/^21 workers: /m);
  }, 120_000);

  it('by process.exit in the middle of work', () => {
    expect(run("work(2000); console.log('exits'); process.exit(0);")).toBe('exits\n');
  });

  it('by running out of events, with commands queued and nobody waiting', () => {
    expect(run("work(2000); console.log('ends');")).toBe('ends\n');
  });

  it('not before a read has settled', () => {
    expect(run('work(500); b.read(x, 0, 4).then((r) => console.log(new Float32Array(r.buffer)[0]));')).toBe('499\n');
  });

  it('after a close that nobody awaits', () => {
    expect(
      run("work(500); b.read(x, 0, 4).then(() => console.log('read')); b.close().then(() => console.log('closed'));"),
    ).toBe('read\nclosed\n');
  });

  it('with an uncaught error', () => {
    expect(() => run("work(2000); throw new Error('on purpose');")).toThrow(/on purpose/);
  });

  it('after streams that the garbage collector took', () => {
    const code = `let freed = 0; const registry = new FinalizationRegistry(() => freed++);
      const { setTimeout: wait } = await import('node:timers/promises');
      for (let i = 0; i < 30; i++) { const c = openBackend({ threads: 1 }); const y = c.alloc(1 << 20); c.calls.fill(y.ptr, 9, 0, 1); registry.register(c, 0); }
      for (let i = 0; i < 20 && freed < 30; i++) { await wait(20); globalThis.gc(); }
      const { readdirSync } = await import('node:fs');
      await wait(50);
      console.log(freed >= 29, readdirSync('/proc/self/task').length < 30);`;
    expect(
      node('--expose-gc', '--input-type=module', '-e', `import { openBackend } from './src/open.ts'; ${code}`),
    ).toBe('true true\n');
  });
});
