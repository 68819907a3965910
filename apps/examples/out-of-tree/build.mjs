// Compiles the kernels of src/ to build/square8.so, against the headers that @ao/kernels-cpu ships. CXX names another compiler.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const headers = join(dirname(createRequire(import.meta.url).resolve('@ao/kernels-cpu')), 'include');
mkdirSync(join(folder, 'build'), { recursive: true });

// -ffp-contract=off: no fused multiply-add behind our back, so that every machine rounds alike
const options = [
  '-std=c++17',
  '-O3',
  '-ffp-contract=off',
  '-shared',
  '-fPIC',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
];
const files = ['-I', headers, join(folder, 'src/square8.cc'), '-o', join(folder, 'build/square8.so')];
const compiler = process.env.CXX ?? 'c++';
const { status, error } = spawnSync(compiler, [...options, ...files], { stdio: 'inherit' });
if (error) console.error(`${compiler}: ${error.message}; install a C++ compiler, or name one by CXX`);
process.exitCode = status ?? 1;
