// `pnpm format`: writes the format of TypeScript, JSON (biome) and C++ (clang-format) into the files.
import { clangFormat, cxxFiles } from './lib/cxx.mjs';
import { writeDerived } from './lib/manifests.mjs';
import { run } from './lib/run.mjs';
import { ready } from './lib/setup.mjs';

if (await ready('none')) {
  writeDerived();
  const biome = await run('biome', ['check', '--write', '.'], { show: 'stdout' });
  const clang = await run(clangFormat, ['-i', ...cxxFiles()], { show: 'stdout' });
  process.exitCode = biome.code || clang.code;
}
