// node --conditions=@ao/source apps/bench/compat/memory.mjs [SCHEME] [LAYERS]
// What an 8B model takes in memory (default int4wo-128:int8-group, 32 layers of Llama 3.1 8B's shape): peak resident memory of
// the process while it loads, then while it reads the last 32 tokens of a full context and writes one more, for contexts of 2k,
// 8k and 32k tokens and keys and values in 16, 8 and 4 bits. The checkpoint is a file of zeros without blocks on the disk, which
// is quantized while it is loaded; every byte of a cache is written before. Writes memory.md beside this file.
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arange, fill_, int32, safetensorsHeader, scope, tensor } from '@ao/core';
import { AutoConfig, AutoModelForCausalLM, autoRuntime, torchAoConfig } from '@ao/hf-integration';
import { parseScheme } from '@ao/quantization';

const [scheme = 'int4wo-128:int8-group', layers = '32'] = process.argv.slice(2);
const CONTEXTS = [2048, 8192, 32768];
const FORMATS = ['int4', 'int8', 'bf16'];
const CHUNK = 32;
const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  torch_dtype: 'bfloat16',
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: Number(layers),
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 131072,
  rope_theta: 500000,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};

async function resident(field) {
  const status = await readFile('/proc/self/status', 'utf8');
  return 1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]);
}

/** Peak resident memory while `work` runs. */
async function peakOf(work) {
  await writeFile('/proc/self/clear_refs', '5');
  await work();
  return resident('VmHWM');
}

async function writeModel(folder) {
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const { outline } = await AutoConfig.fromPretrained(folder);
  const items = outline.parameters.map(({ name, shape }) => ({ name, shape, dtype: 'BF16' }));
  const { header, size } = safetensorsHeader(items, { format: 'pt' });
  const file = await open(join(folder, 'model.safetensors'), 'w');
  await file.write(header);
  await file.truncate(size);
  await file.close();
  return size;
}

async function read(model, cache, at, count) {
  const { rt, device } = model;
  cache.truncate(at);
  const ids = tensor(rt, [Array.from({ length: count }, (_, i) => i)], { dtype: int32, device });
  const logits = scope(() =>
    model.head(model.hidden(ids, { cache, positions: arange(rt, at, at + count, 1, { device }) })),
  );
  await logits.data();
  logits.dispose();
  ids.dispose();
}

const folder = await mkdtemp(join(tmpdir(), 'ao-memory-'));
const rt = await autoRuntime();
const gb = (bytes) => (bytes / 1e9).toFixed(2);
const rows = [];
try {
  const size = await writeModel(folder);
  const idle = await resident('VmRSS');
  let model;
  const loading = await peakOf(async () => {
    const quantizationConfig = torchAoConfig(parseScheme(scheme));
    model = await AutoModelForCausalLM.fromPretrained(folder, { runtime: rt, dtype: 'bfloat16', quantizationConfig });
    await rt.backend(rt.device).sync();
  });
  const weights = rt.backend(rt.device).memory().live;
  rt.backend(rt.device).trim();
  for (const context of CONTEXTS) {
    const cells = [];
    for (const format of FORMATS) {
      const before = rt.backend(rt.device).memory().live;
      let bytes = 0;
      const peak = await peakOf(async () => {
        using cache = model.createCache(context, 1, format);
        bytes = rt.backend(rt.device).memory().live - before;
        for (const t of [...cache.keys, ...cache.values]) fill_(t, 0);
        await read(model, cache, context - CHUNK - 1, CHUNK);
        await read(model, cache, context - 1, 1);
      });
      await rt.backend(rt.device).sync();
      rt.backend(rt.device).trim(); // what this cache had is not part of the next one's peak
      cells.push(gb(bytes), gb(peak));
      process.stdout.write(`${context} ${format}: cache ${gb(bytes)} GB, peak ${gb(peak)} GB\n`);
    }
    rows.push(`| ${[context, ...cells].join(' | ')} |`);
  }
  const text = `# Memory of an 8B model

\`node --conditions=@ao/source ${['apps/bench/compat/memory.mjs', ...process.argv.slice(2)].join(' ')}\`: a Llama of ${layers} layers, hidden size 4096, vocabulary 128256, its bfloat16
checkpoint of ${gb(size)} GB quantized to ${scheme} while it is loaded. In GB (10^9 bytes). The idle process has ${gb(idle)}, the
weights take ${gb(weights)} in the backend, and loading peaks at ${gb(loading)} resident. Then, for each context and form of keys and values: the
cache's bytes, and the peak resident memory of the whole process while it reads the last ${CHUNK} tokens of a full cache and one more.

| context | ${FORMATS.map((f) => `${f} cache | peak`).join(' | ')} |
| --- | ${FORMATS.map(() => '--- | ---').join(' | ')} |
${rows.join('\n')}
`;
  await writeFile(join(import.meta.dirname, 'memory.md'), text);
  process.stdout.write(text);
  model.dispose();
} finally {
  await rt.close();
  await rm(folder, { recursive: true, force: true });
}
