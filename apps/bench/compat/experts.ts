// node --conditions=@ao/source apps/bench/compat/experts.ts: do quantized experts go to transformers? Small mixtures of experts that
// transformers saved are quantized here, `--to torchao` puts experts together, transformers loads them. Compared: greedy tokens and
// logits of the same ids; torchao's tensors run in transformers' eager experts alone. Prints a line for each; fails where tokens differ. Needs `pnpm bench peers torchao`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arange, int32, scope, tensor } from '@ao/core';
import {
  AutoModelForCausalLM,
  autoRuntime,
  convertCheckpoint,
  quantizeCheckpoint,
  torchAoConfig,
} from '@ao/hf-integration';
import { parseScheme } from '@ao/quantization';
import { absent, PEERS } from '../src/peers/where.ts';

const SCHEMES = ['int8wo', 'int8wo-32', 'float8wo'];
const LENGTH = 16;
const prompt = Array.from({ length: 24 }, (_, i) => (i * i * 31 + i * 7) % 96);

const why = absent('torchao');
if (why !== undefined) throw new Error(why);
const work = mkdtempSync(join(tmpdir(), 'ao-experts-'));

function python(script: string, ...args: string[]): void {
  const run = spawnSync(PEERS.python, ['-W', 'ignore', join(import.meta.dirname, script), ...args], {
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(run.stderr.trim().split('\n').at(-1));
}

python('tiny_experts.py', work);
const request = join(work, 'request.json');
writeFileSync(
  request,
  JSON.stringify({ prompts: [prompt], length: LENGTH, load: { experts_implementation: 'eager' } }),
);
const runtime = await autoRuntime();
let failed = 0;
for (const name of ['mixtral', 'qwen3-moe']) {
  for (const scheme of SCHEMES) {
    const [own, folder, out] = ['own', 'torchao', 'out'].map((part) => join(work, `${name}-${scheme}-${part}`));
    const quantizationConfig = torchAoConfig(parseScheme(scheme));
    await quantizeCheckpoint(join(work, name), own!, { quantizationConfig, runtime });
    const { notes } = await convertCheckpoint(own!, folder!, { to: 'torchao', runtime });
    python('peer.py', 'run', folder!, request, out!);
    const theirs = JSON.parse(readFileSync(`${out}.json`, 'utf8')) as { tokens: number[][]; kinds: string[] };
    const logits = new Float32Array(new Uint8Array(readFileSync(`${out}.f32`)).buffer);
    using model = await AutoModelForCausalLM.fromPretrained(folder!, { runtime, dtype: 'float32' });
    const { ids } = await model.generate(prompt, { maxNewTokens: LENGTH, doSample: false, ignoreEos: true });
    using cache = model.createCache(prompt.length);
    const input = tensor(runtime, [prompt], { dtype: int32 });
    const ours = scope(() => model.forward(input, { cache, positions: arange(runtime, 0, prompt.length) }));
    const off = Math.max(...Array.from(await ours.data(), (v, i) => Math.abs(Number(v) - logits[i]!)));
    const equal = ids.join() === theirs.tokens[0]!.join();
    if (!equal || notes.length > 0) failed++;
    const size = Math.max(...logits.map(Math.abs)).toFixed(2);
    console.log(
      `${name} ${scheme}: ${theirs.kinds}, tokens ${equal ? 'equal' : 'differ'}, logits off by ${off} of ${size}`,
    );
  }
}
await runtime.close();
rmSync(work, { recursive: true });
process.exitCode = failed;
