// What a result depends on besides the code: the machine, the commit, the versions of both sides.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CACHE } from './peers/where.ts';

export interface Machine {
  readonly cpu: string;
  readonly logicalCpus: number;
  /** Of those that matter to kernels. */
  readonly features: readonly string[];
  readonly memoryGB: number;
  readonly system: string;
}

/** As Linux names them, in the order they are told. */
const FEATURES = ['avx2', 'f16c', 'avx_vnni', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_int8', 'asimddp', 'i8mm'];

export function machine(): Machine {
  const all = cpus();
  const about = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(about)?.[1]?.trim().split(/\s+/) ?? []);
  const field = (name: string): string | undefined => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(about)?.[1];
  // a virtual machine hides the model's name; family and model still tell which it is
  const numbers = field('cpu family') === undefined ? '' : ` (family ${field('cpu family')}, model ${field('model')})`;
  return {
    cpu: `${all[0]?.model.trim() ?? process.arch}${numbers}`,
    logicalCpus: all.length,
    features: FEATURES.filter((name) => flags.has(name)),
    memoryGB: Math.round(totalmem() / 1e9),
    system: `${process.platform} ${release()}`,
  };
}

export interface Commit {
  readonly id: string;
  /** The checkout had changes besides. */
  readonly dirty: boolean;
}

export function commit(): Commit {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8' }).trim();
  // what is made of results does not change what is measured
  const changes = git(
    'status',
    '--porcelain',
    '--',
    ':/',
    ':(top,exclude)README.md',
    ':(top,exclude)packages/quantization/MEASURED.md',
    ':(top,exclude)apps/bench/published',
  );
  return { id: git('rev-parse', '--short=12', 'HEAD'), dirty: changes !== '' };
}

/** Of Node, our packages and the peers that are installed. */
export function versions(): Readonly<Record<string, string>> {
  const found: Record<string, string> = { node: process.version };
  const packages = fileURLToPath(new URL('../../../packages', import.meta.url));
  for (const name of ['core', 'quantization', 'kernels-cpu', 'hf-integration'])
    found[`@ao/${name}`] = manifest(join(packages, name))!.version;
  for (const name of ['node-llama-cpp', 'onnxruntime-node']) {
    const there = manifest(join(CACHE, 'node', 'node_modules', name));
    if (there !== undefined) found[name] = there.version;
  }
  const library = join(CACHE, 'py', 'lib');
  for (const python of existsSync(library) ? readdirSync(library) : []) {
    for (const name of readdirSync(join(library, python, 'site-packages'))) {
      const match = /^(torch|torchao|transformers)-(.+)\.dist-info$/.exec(name);
      if (match !== null) found[match[1]!] = match[2]!;
    }
  }
  return found;
}

function manifest(folder: string): { readonly version: string } | undefined {
  const file = join(folder, 'package.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}
