// The suites of tests that run on a GPU as one file for a machine without vitest: `bundleSuites(out)` writes out/suites.mjs and the goldens
// that it reads, out/data. There: node suites.mjs PACKAGE... prints a line of JSON for each test.
import { cpSync, globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
export const SUITES = ['quantization', 'qat', 'float8', 'sparsity', 'optim'];
/** Tables of the repository, which no device changes. */
const LEFT_OUT = ['schemes.test.ts', 'files-table.test.ts'];

/** @param {string} out */
export async function bundleSuites(out) {
  const { build } = createRequire(join(root, 'packages/guard/package.json'))('esbuild');
  const files = SUITES.flatMap((name) => globSync(`packages/${name}/{src,test}/**/*.test.ts`, { cwd: root }))
    .filter((file) => !LEFT_OUT.some((name) => file.endsWith(name)))
    .sort();
  const lines = files.map(
    (file) =>
      `  if (wanted(${JSON.stringify(file)})) await runFile(${JSON.stringify(file)}, () => import('./${file}'), say);`,
  );
  await build({
    stdin: {
      contents: `import { runFile } from './apps/bench/gpu/suites/vitest.ts';
const names = process.argv.slice(2);
const wanted = (file) => names.length === 0 || names.some((name) => file.startsWith('packages/' + name + '/'));
const say = (result) => console.log(JSON.stringify(result));
${lines.join('\n')}
process.exit(0);`,
      resolveDir: root,
      sourcefile: 'suites.ts',
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    conditions: ['@ao/source'],
    alias: { vitest: join(root, 'apps/bench/gpu/suites/vitest.ts') },
    outfile: join(out, 'suites.mjs'),
    logLevel: 'error',
    banner: {
      js: "import { createRequire as ownRequire } from 'node:module'; const require = ownRequire(import.meta.url);",
    },
    plugins: [
      {
        name: 'files beside tests',
        setup: (/** @type {{ onLoad: Function }} */ { onLoad }) =>
          onLoad(
            { filter: /packages\/(testing\/src\/golden|[a-z0-9]+\/test\/.*\.test)\.ts$/ },
            (/** @type {{ path: string }} */ { path }) => ({
              contents: readFileSync(path, 'utf8').replaceAll(
                'import.meta.url',
                `new URL('data/${relative(root, path)}', import.meta.url)`,
              ),
              loader: 'ts',
            }),
          ),
      },
    ],
  });
  const goldens = ['packages/testing', ...SUITES.map((name) => `packages/${name}/test`)];
  for (const folder of goldens)
    for (const file of globSync('**/golden/*.{json,safetensors}', { cwd: join(root, folder) }))
      cpSync(join(root, folder, file), join(out, 'data', folder, file));
}
