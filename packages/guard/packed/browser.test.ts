// Core and quantization in a browser, as three bundlers make them of the packed packages: same numbers as in Node, bit for bit.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Application, application } from '../src/application.ts';
import { bundlers } from '../src/browser/bundlers.ts';
import { callInBrowser, chromium } from '../src/browser/chromium.ts';
import { packageTarballs } from '../src/pack.ts';
import { root } from '../src/workspace.ts';

interface Numbers {
  readonly device: string;
  readonly float: readonly number[];
  readonly int4: readonly number[];
  readonly int8: readonly number[];
}

let app: Application;
let expected: Numbers;
beforeAll(() => {
  app = application(['@ao/core', '@ao/quantization'], packageTarballs());
  app.copy(join(root, 'packages/guard/jobs/browser.mjs'), 'app.mjs');
  app.write('node.mjs', `import { numbers } from './app.mjs'; console.log(JSON.stringify(await numbers()));`);
  expected = JSON.parse(app.run(process.execPath, ['node.mjs'])) as Numbers;
});
afterAll(() => app[Symbol.dispose]());

const program = chromium();
const reason = 'no Chromium here: apt-get install chromium-headless-shell';
if (program === undefined) console.warn(`skipped: browser bundles in a browser: ${reason}`);

it('in Node it is quantized on the reference backend, near the float layer and not equal to it', () => {
  expect(expected.device).toBe('reference');
  const float = new Float32Array(new Uint32Array(expected.float).buffer);
  for (const bits of [expected.int4, expected.int8]) {
    const values = new Float32Array(new Uint32Array(bits).buffer);
    const error = Math.hypot(...values.map((v, i) => v - float[i]!)) / Math.hypot(...float);
    expect(error).toBeGreaterThan(1e-5);
    expect(error).toBeLessThan(0.2);
  }
});

describe.each(Object.entries(bundlers))('%s', (name, bundle) => {
  let code: string;
  beforeAll(async () => {
    code = await bundle(app.folder, 'app.mjs');
  });

  it('makes one small module that asks for nothing', () => {
    expect(code.match(/(?:^|[;}])import\b.*|\b(?:require|dlopen)\(.*|\bprocess\.\w+/gm)).toBeNull();
    console.log(`${name}: ${(code.length / 1e3).toFixed(0)} kB`);
    expect(code.length).toBeGreaterThan(10_000);
    expect(code.length).toBeLessThan(190_000);
  });

  it('has the numbers of Node in Node', async () => {
    const file = `${name}-bundle.mjs`;
    app.write(file, code);
    const module = (await import(pathToFileURL(join(app.folder, file)).href)) as { numbers(): Promise<Numbers> };
    expect(await module.numbers()).toEqual(expected);
  });

  it.skipIf(program === undefined)(
    `has the numbers of Node in Chromium${program === undefined ? ` (${reason})` : ''}`,
    async () => {
      expect(await callInBrowser(program ?? '', code, 'numbers')).toEqual(expected);
    },
  );
});
