// What tests import of vitest, for machines that have none: describe, it and hooks fill a tree that `run` walks, in order; expect is vitest's.
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  customMatchers,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from '@vitest/expect';

type Run = (...args: never[]) => unknown;
type Hook = 'beforeAll' | 'afterAll' | 'beforeEach' | 'afterEach';

interface Suite {
  readonly name: string;
  readonly parent: Suite | undefined;
  readonly items: (Suite | Test)[];
  readonly hooks: Record<Hook, (() => unknown)[]>;
  readonly body: Promise<unknown>[];
}

interface Test {
  readonly name: string;
  readonly suite: Suite;
  /** undefined: skipped. */
  readonly run: (() => unknown) | undefined;
}

export interface Result {
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly message?: string;
}

const suite = (name: string, parent?: Suite): Suite => ({
  name,
  parent,
  items: [],
  hooks: { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] },
  body: [],
});

let current = suite('');

function addSuite(name: unknown, body: () => unknown): void {
  const made = suite(String(name), current);
  current.items.push(made);
  const outer = current;
  current = made;
  try {
    const done = body();
    // what an asynchronous describe adds after an await belongs to it
    if (done instanceof Promise) throw new Error(`describe ${made.name} is asynchronous`);
  } finally {
    current = outer;
  }
}

const addTest = (name: unknown, run: (() => unknown) | undefined): void =>
  void current.items.push({ name: String(name), suite: current, run });

/** vitest's names: %s, %o and the like take arguments in turn, $x a field of the first. */
function title(name: string, args: readonly unknown[]): string {
  let next = 0;
  const text = (v: unknown): string => (typeof v === 'object' ? JSON.stringify(v) : String(v));
  return name
    .replace(/%[sdifjo]/g, () => text(args[next++]))
    .replace(/\$([a-zA-Z_]\w*)/g, (whole, field: string) =>
      typeof args[0] === 'object' && args[0] !== null && field in args[0]
        ? text((args[0] as Record<string, unknown>)[field])
        : whole,
    );
}

const each =
  (add: (name: string, body: () => unknown) => void) =>
  (cases: readonly unknown[]) =>
  (name: string, body: Run): void => {
    for (const one of cases) {
      const args = Array.isArray(one) ? one : [one];
      add(title(name, args), () => body(...(args as never[])));
    }
  };

export const describe = Object.assign(addSuite, {
  each: each(addSuite),
  runIf: (wanted: boolean) => (wanted ? addSuite : () => {}),
  skipIf: (unwanted: boolean) => (unwanted ? () => {} : addSuite),
});

const skip = (name: unknown): void => addTest(name, undefined);
export const it = Object.assign(addTest, {
  each: each(addTest),
  skip,
  runIf: (wanted: boolean) => (wanted ? addTest : skip),
  skipIf: (unwanted: boolean) => (unwanted ? skip : addTest),
});
export const test: typeof it = it;

const hook = (name: Hook) => (run: () => unknown) => void current.hooks[name].push(run);
export const beforeAll = hook('beforeAll');
export const afterAll = hook('afterAll');
export const beforeEach = hook('beforeEach');
export const afterEach = hook('afterEach');

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin as never);

export const expect = ((value: unknown, message?: string) => chai.expect(value, message)) as unknown as Record<
  string,
  unknown
>;
Object.assign(expect, chai.expect);
Object.assign(expect, (globalThis as unknown as Record<symbol, object>)[ASYMMETRIC_MATCHERS_OBJECT]);
Object.defineProperty(globalThis, GLOBAL_EXPECT, { value: expect, writable: true, configurable: true });
(chai.expect as unknown as { extend(to: unknown, matchers: unknown): void }).extend(expect, customMatchers);
setState({ assertionCalls: 0, currentTestName: '' } as never, expect as never);

/** Types are checked where they are compiled. */
const nothing: unknown = new Proxy(() => nothing, { get: () => nothing });
export const expectTypeOf = (): unknown => nothing;

const chain = (s: Suite): Suite[] => (s.parent === undefined ? [s] : [...chain(s.parent), s]);
const nameOf = (s: Suite, name: string): string =>
  [...chain(s).map((x) => x.name), name].filter((x) => x !== '').join(' > ');
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 600);

async function runTest({ name, suite: own, run }: Test, say: (result: Result) => void): Promise<void> {
  const full = nameOf(own, name);
  if (run === undefined) return say({ name: full, state: 'skipped' });
  try {
    for (const s of chain(own)) for (const before of s.hooks.beforeEach) await before();
    await run();
    for (const s of chain(own).reverse()) for (const after of s.hooks.afterEach) await after();
    say({ name: full, state: 'passed' });
  } catch (error) {
    say({ name: full, state: 'failed', message: reason(error) });
  }
}

async function runSuite(s: Suite, say: (result: Result) => void): Promise<void> {
  try {
    for (const before of s.hooks.beforeAll) await before();
  } catch (error) {
    return say({ name: nameOf(s, 'beforeAll'), state: 'failed', message: reason(error) });
  }
  for (const item of s.items) await ('run' in item ? runTest(item, say) : runSuite(item, say));
  for (const after of s.hooks.afterAll) await after();
}

/** Loads a file of tests and runs it. */
export async function runFile(
  name: string,
  load: () => Promise<unknown>,
  say: (result: Result) => void,
): Promise<void> {
  current = suite(name);
  try {
    await load();
  } catch (error) {
    return say({ name, state: 'failed', message: reason(error) });
  }
  await runSuite(current, say);
}
