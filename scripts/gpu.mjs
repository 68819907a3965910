// `pnpm gpu`: the cuda backend on a GPU: conformance and speeds beside peers', written as JSON with date, driver and GPU.
//   pnpm gpu [FILE] [PART...]   here; parts are in apps/bench/gpu/parts, and `peers`
//   pnpm gpu --pack FOLDER      what to carry to a machine with a GPU and nothing else: bundle, addon, Node; there: sh FOLDER/run.sh FILE [PART...]
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { bundleSuites } from '../apps/bench/gpu/suites/bundle.mjs';
import { at } from './lib/checkout.mjs';

const main = at('apps/bench/gpu/main.ts');
const addon = at('packages/kernels-cuda/build/Release/ao_cuda.node');

/** @param {string} folder */
async function pack(folder) {
  if (!existsSync(addon)) throw new Error(`${addon} is not there: pnpm --filter @ao/kernels-cuda build:cuda`);
  mkdirSync(folder, { recursive: true });
  const { build } = createRequire(at('packages/guard/package.json'))('esbuild');
  await build({
    entryPoints: [main],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['@ao/source'],
    outfile: join(folder, 'main.mjs'),
    banner: {
      js: "import { createRequire as ownRequire } from 'node:module'; const require = ownRequire(import.meta.url);",
    },
  });
  await bundleSuites(folder);
  cpSync(at('apps/bench/gpu/peers'), join(folder, 'peers'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"name":"@ao/kernels-cuda","type":"module","version":"0.0.0"}\n');
  for (const file of [addon, at('packages/kernels-cpu/build/Release/ao_cpu.node')]) {
    const copy = join(folder, basename(file));
    copyFileSync(file, copy);
    spawnSync('xz', ['-f', '-T0', '-6', copy], { stdio: 'inherit' });
  }
  const node = join(folder, 'node');
  if (!existsSync(`${node}.xz`)) {
    copyFileSync(process.execPath, node);
    chmodSync(node, 0o755);
    spawnSync('strip', [node]);
    spawnSync('xz', ['-f', '-T0', '-6', node], { stdio: 'inherit' });
  }
  writeFileSync(
    join(folder, 'run.sh'),
    `here=$(cd "$(dirname "$0")" && pwd); there=\${TMPDIR:-/tmp}/ao-gpu; mkdir -p $there
[ -x $there/node ] || { xz -dc "$here/node.xz" > $there/node && chmod +x $there/node; }
for name in ao_cuda ao_cpu; do xz -dc "$here/$name.node.xz" > $there/$name.node; done
AO_SUITES=$here AO_NATIVE=$there/ao_cpu.node AO_CUDA=$there/ao_cuda.node exec $there/node "$here/main.mjs" "$@"\n`,
  );
  console.log(`${folder} is ready: carry it, then sh ${folder}/run.sh results.json`);
}

const args = process.argv.slice(2);
if (args[0] === '--pack') await pack(resolve(args[1] ?? 'build-gpu'));
else {
  process.env.AO_SUITES ??= at('.tools/gpu-suites');
  if (args.length < 2 || args.includes('suites')) await bundleSuites(process.env.AO_SUITES);
  const { status } = spawnSync(process.execPath, ['--conditions=@ao/source', main, ...args], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
