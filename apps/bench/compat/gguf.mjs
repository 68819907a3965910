// node --conditions=@ao/source apps/bench/compat/gguf.mjs [NAME ...]
// GGUF against llama.cpp (node-llama-cpp of `pnpm bench peers`): files that it has made are read here, files that are written
// here are read there; each time the greedy continuation of both, and the tokens of the prompts. Results: gguf.json, gguf.md.
//   theirs   SmolLM2's Q4_0, Q4_1, Q8_0 and BF16
//   ours     SmolLM2 and stories-7m in each type that is written
//   family   tiny random models of each architecture (test/golden/families), float32
// Where the continuations part, `gap` is by how much the logit of our token lies above that of theirs: llama.cpp rounds
// activations to 8 bits before quantized weights and keeps keys and values in float16.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AutoModelForCausalLM, AutoTokenizer, autoRuntime, convertToGguf } from '@ao/hf-integration';
import { familyFixture, writeFamily } from '../../../packages/hf-integration/test/family-fixtures.ts';
import { absent, PEERS } from '../src/peers/where.ts';

const missing = absent('llama') ?? absent('models');
if (missing !== undefined) {
  console.error(`skipped: ${missing}`);
  process.exit(0);
}

const here = dirname(fileURLToPath(import.meta.url));
const scratch = await mkdtemp(join(tmpdir(), 'ao-compat-'));
process.env.HF_HOME = join(scratch, 'cache');
const stories = dirname(createRequire(join(here, '../../cli/package.json')).resolve('@ao/stories-7m/config.json'));
const PROMPTS = [
  'The capital of France is',
  'Once upon a time, there was a little',
  'def add(a, b):\n    return',
  'Tom & Ann’s 23 café—trips:',
];
const TOKENS = 24;
const FAMILIES = ['smollm', 'llama3', 'phi3', 'qwen2', 'qwen3', 'gemma2', 'gemma3', 'mixtral'];
const CHANGES = {
  qwen2: { use_sliding_window: false },
  mixtral: { sliding_window: null },
  phi3: { sliding_window: null },
  gemma2: { query_pre_attn_scalar: 16 },
  gemma3: { query_pre_attn_scalar: 16, sliding_window_pattern: 6, rope_local_base_freq: 10000 },
};

const theirs = ['Q4_0', 'Q8_0', 'BF16'].map((type) => ({
  name: `theirs ${type}`,
  file: join(PEERS.smollm2, `smollm2.${type}.gguf`),
}));
theirs.push({ name: 'theirs Q4_1', file: join(PEERS.smollm2, 'SmolLM2-135M-Instruct.Q4_1.gguf') });
const written = (model, folder, types) =>
  types.map((type) => ({
    name: `ours ${model} ${type}`,
    make: (runtime, file) => convertToGguf(folder, file, { type, runtime }),
  }));
const families = FAMILIES.map((family) => ({
  name: `family ${family}`,
  ids: true,
  async make(runtime, file) {
    const fixture = await familyFixture(family);
    // a name with 'phi3' makes llama.cpp look for tokens of Phi 3
    const folder = join(scratch, `f${FAMILIES.indexOf(family)}`);
    await writeFamily(folder, fixture, { config: { ...fixture.config, ...CHANGES[family] } });
    // llama.cpp wants a tokenizer: one of single characters
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(characters(96)));
    return convertToGguf(folder, file, { type: 'f32', runtime });
  },
}));
const all = [
  ...theirs,
  ...written('smollm2', PEERS.smollm2, ['bf16', 'f16', 'q8_0', 'q4_0', 'q4_1', 'q4_k', 'q6_k']),
  ...written('stories-7m', stories, ['bf16', 'q8_0', 'q4_0', 'q4_1', 'q4_k', 'q6_k']),
  ...families,
];

function characters(count) {
  const names = Array.from({ length: count }, (_, i) => String.fromCharCode(0x21 + i));
  const model = { type: 'BPE', vocab: Object.fromEntries(names.map((n, i) => [n, i])), merges: [] };
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return { added_tokens: [], normalizer: null, pre_tokenizer: bytes, decoder: bytes, post_processor: null, model };
}

const { getLlama, LlamaLogLevel } = await import(pathToFileURL(PEERS.llama).href);
const llama = await getLlama({ gpu: false, maxThreads: 2, build: 'never', logLevel: LlamaLogLevel.error });
const runtime = await autoRuntime();

/** What llama.cpp makes of the prompts; ids where they are given. */
async function byLlama(modelPath, prompts) {
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  const context = await model.createContext({ contextSize: 64, batchSize: 64, threads: 2 });
  const sequence = context.getSequence();
  const out = [];
  for (const prompt of prompts) {
    const ids = typeof prompt === 'string' ? [...model.tokenize(prompt, true)] : prompt;
    await sequence.clearHistory();
    const tokens = [];
    for await (const token of sequence.evaluate([...ids], { temperature: 0, yieldEogToken: true })) {
      tokens.push(token);
      if (tokens.length === TOKENS) break;
    }
    out.push({ ids, tokens });
  }
  await model.dispose();
  return out;
}

/** What we make of the same ids, and how far apart the two logits lie where theirs is another. */
async function byUs(file, given) {
  const model = await AutoModelForCausalLM.fromPretrained(file, { runtime, dtype: 'float32' });
  const out = [];
  for (const { ids, tokens: their } of given) {
    const { ids: tokens } = await model.generate(ids, { maxNewTokens: TOKENS, ignoreEos: true });
    const at = their.findIndex((token, i) => token !== tokens[i]);
    let gap = 0;
    if (at >= 0) {
      const { logprobs } = await model.generate([...ids, ...tokens.slice(0, at)], {
        maxNewTokens: 1,
        ignoreEos: true,
        logprobs: 20,
      });
      const [step] = logprobs ?? [];
      const of = (id) => step?.top.find((t) => t.id === id)?.logprob;
      gap = (of(tokens[at]) ?? 0) - (of(their[at]) ?? Number.NEGATIVE_INFINITY);
    }
    out.push({ same: at < 0 ? their.length : at, of: their.length, gap });
  }
  model.dispose();
  return out;
}

const chosen = process.argv.slice(2);
const rows = [];
try {
  for (const { name, file: given, make, ids } of all) {
    if (chosen.length > 0 && !chosen.some((part) => name.includes(part))) continue;
    const file = given ?? join(scratch, `${name.replaceAll(' ', '-')}.gguf`);
    const types = make ? (await make(runtime, file)).types : undefined;
    const prompts = ids
      ? [
          [3, 17, 40, 60],
          [5, 8, 90, 2, 33, 12],
        ]
      : PROMPTS;
    const their = await byLlama(file, prompts);
    const our = await byUs(file, their);
    let tokenizer = null;
    if (!ids) {
      const own = await AutoTokenizer.fromPretrained(file);
      tokenizer = prompts.filter((p, i) => JSON.stringify(own.encode(p)) === JSON.stringify(their[i].ids)).length;
    }
    const row = {
      name,
      types,
      prompts: prompts.length,
      tokenized: tokenizer,
      sameTokens: our.reduce((n, o) => n + o.same, 0),
      tokens: our.reduce((n, o) => n + o.of, 0),
      gaps: our.filter((o) => o.same < o.of).map((o) => Number(o.gap.toFixed(4))),
    };
    rows.push(row);
    console.error(JSON.stringify(row));
    if (make) await rm(file);
  }
} finally {
  await runtime.close();
  await rm(scratch, { recursive: true, force: true });
}

const { release } = llama.llamaCppRelease;
const lines = rows.map((r) => {
  const wholly = r.prompts - r.gaps.length;
  return `| ${r.name} | ${r.tokenized === null ? '' : `${r.tokenized} of ${r.prompts}`} | ${wholly} of ${r.prompts} | ${r.gaps.join(', ')} |`;
});
const text = `# GGUF against llama.cpp ${release}

Greedy continuations of ${TOKENS} tokens, ours in float32: prompts with the same ids in both tokenizers, prompts continued alike
to the end, and of the others the logit of our token less that of llama.cpp's where they part. Made by \`gguf.mjs\`.

| file | tokenized alike | continued alike | gaps |
| --- | --- | --- | --- |
${lines.join('\n')}
`;
if (chosen.length === 0) {
  await writeFile(join(here, 'gguf.json'), `${JSON.stringify({ llama: release, tokens: TOKENS, rows }, null, 2)}\n`);
  await writeFile(join(here, 'gguf.md'), text);
} else console.log(text);
process.exit(0);
