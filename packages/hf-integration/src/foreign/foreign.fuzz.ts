/**
 * Fuzzing of what config.json and a checkpoint's header say of other libraries' formats: texts of config.json with mutated tokens,
 * and files whose tensors have random names, dtypes and shapes beside right ones. Allowed: an AoError with a fix, or tensors whose
 * parts have the bytes that they tell.
 */
import { AoError, fileTensorBytes, isAoError, type TensorFile } from '@ao/core';
import { parseModelConfig } from '../config/model-config.ts';
import type { Json } from '../config/read-json.ts';
import { familyOf } from '../models/family.ts';
import { type FuzzResult, type Random, random } from '../pickle/pickle.fuzz.ts';
import { torchAoConfigFromJson } from '../quantize/torchao-config.ts';
import { asTorchAo } from './as-torchao.ts';
import { foreignConfig } from './formats.ts';

const SIZES = {
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
};
const MODEL = {
  model_type: 'llama',
  ...SIZES,
  vocab_size: 8,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  rope_theta: 1e4,
};
const QUANTIZATION: readonly Json[] = [
  { quant_method: 'gptq', bits: 4, group_size: 8, desc_act: false, sym: true, checkpoint_format: 'gptq' },
  { quant_method: 'awq', bits: 4, group_size: 8, zero_point: true, version: 'gemm' },
  { quant_method: 'hqq', quant_config: { weight_quant_params: { nbits: 4, group_size: 8, axis: 1 } } },
  { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' },
  {
    quant_method: 'compressed-tensors',
    format: 'pack-quantized',
    config_groups: {
      group_0: { targets: ['Linear'], weights: { num_bits: 4, type: 'int', symmetric: true, group_size: 8 } },
    },
  },
  { quant_method: 'fp8', weight_block_size: [8, 8] },
  { group_size: 8, bits: 4 },
  {
    quant_method: 'torchao',
    quant_type: { default: { _type: 'Int8WeightOnlyConfig', _version: 2, _data: { group_size: null } } },
    modules_to_not_convert: ['lm_head'],
  },
];
const TOKENS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  'null',
  'true',
  '-1',
  '0',
  '1.5',
  '3',
  '1e400',
  '"x"',
  '{}',
  '[]',
  '[1]',
  '"int"',
  '"float"',
  '"gptq_v2"',
  '_',
  '\\',
];

function configText(rnd: Random): string {
  const quantization = QUANTIZATION[rnd(QUANTIZATION.length)]!;
  const key = rnd(8) === 0 ? 'quantization' : 'quantization_config';
  return JSON.stringify({ architectures: ['LlamaForCausalLM'], ...MODEL, [key]: quantization });
}

/** Where a JSON text can change: whole tokens, so that it often stays one. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:e-?\d+)?|true|false|null|[{}[\],:]/g;

function mutateText(text: string, rnd: Random): string {
  const tokens = text.match(TOKEN) ?? [text];
  const at = rnd(tokens.length);
  const kind = rnd(4);
  if (kind === 0) tokens[at] = TOKENS[rnd(TOKENS.length)]!;
  else if (kind === 1) tokens.splice(at, 1 + rnd(3));
  else if (kind === 2) tokens[at] = tokens[rnd(tokens.length)]!;
  else tokens.splice(at, 0, TOKENS[rnd(TOKENS.length)]!);
  return tokens.join('');
}

const isRefusal = (error: unknown): boolean =>
  isAoError(error) && /^ERR_AO_(CONFIG|FORMAT|DTYPE|SHAPE)$/.test(error.code);

function failed(i: number, seed: number, what: string, error: unknown): Error {
  return new Error(`case ${i} of seed ${seed}: ${String(error)}\n${what}`, { cause: error });
}

/** config.json: its model, its quantization, and the model's parameters. */
export function fuzzConfig(cases: number, seed: number, tick?: (done: number) => void): FuzzResult {
  const rnd = random(seed);
  let rejected = 0;
  let pristine = configText(rnd);
  for (let i = 0; i < cases; i++) {
    if (i % 20 === 0) pristine = configText(rnd);
    let text = pristine;
    const mutations = rnd(4);
    for (let k = mutations; k > 0; k--) text = mutateText(text, rnd);
    const json = parsed(text);
    if (json === undefined) rejected++;
    else {
      try {
        const config = parseModelConfig(json, 'config.json');
        if (config.quantizationConfig) torchAoConfigFromJson(config.quantizationConfig, config.where);
        familyOf(config).outline(config);
      } catch (error) {
        const own = mutations === 0 && json['quantization'] === undefined && !text.includes('"fp8"');
        if (own || !isRefusal(error)) throw failed(i, seed, text, error);
        rejected++;
      }
    }
    tick?.(i + 1);
  }
  return { cases, rejected, opened: cases - rejected };
}

/** readJson's own refusals: what is no JSON object. */
function parsed(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

const SUFFIXES = [
  ...[
    'qweight',
    'qzeros',
    'scales',
    'g_idx',
    'weight',
    'biases',
    'SCB',
    'W_q',
    'scale',
    'zero',
    'nbits',
    'group_size',
    'shape',
    'axis',
  ],
  ...[
    'weight_packed',
    'weight_scale',
    'weight_shape',
    'weight_zero_point',
    'weight_g_idx',
    'weight_scale_inv',
    'input_scale',
  ],
  ...[
    'weight.absmax',
    'weight.quant_map',
    'weight.nested_absmax',
    'weight.nested_quant_map',
    'weight.quant_state.bitsandbytes__nf4',
  ],
];
const DTYPES = ['I32', 'U32', 'F16', 'BF16', 'F32', 'I8', 'U8', 'I64', 'F8_E4M3'];
const STATE =
  '{"blocksize": 8, "quant_type": "nf4", "dtype": "float16", "shape": [2, 8], "nested_blocksize": 4, "nested_offset": 0.5}';

interface Item {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A file of one module whose tensors are mostly, but not always, what a format has. */
function fileOf(rnd: Random): TensorFile {
  const [N, K] = [8 * (1 + rnd(2)), 8 * (1 + rnd(3))];
  const G = K / 8;
  const right: Record<string, readonly [string, readonly number[]]> = {
    qweight: rnd(2) ? ['I32', [K / 8, N]] : ['I32', [K, N / 8]],
    qzeros: ['I32', [G, N / 8]],
    scales: rnd(2) ? ['F16', [G, N]] : ['F16', [N, G]],
    g_idx: ['I32', [K]],
    weight: rnd(3) ? ['U32', [N, K / 8]] : rnd(2) ? ['F8_E4M3', [N, K]] : ['U8', [8, 1]],
    biases: ['F16', [N, G]],
    weight_packed: ['I32', [N, K / 8]],
    weight_scale: ['F16', [N, G]],
    weight_shape: ['I64', [2]],
    weight_scale_inv: ['F32', [Math.ceil(N / 8), G]],
    W_q: ['U8', [(N * G) / 2, 8]],
    scale: ['F16', [N * G, 1]],
    zero: ['F16', [N * G, 1]],
    nbits: ['I64', []],
    group_size: ['I64', []],
    axis: ['I64', []],
    shape: ['I64', [2]],
    'weight.quant_map': ['F32', [16]],
    'weight.absmax': ['U8', [2]],
    'weight.nested_quant_map': ['F32', [256]],
    'weight.nested_absmax': ['F32', [1]],
  };
  const numbers: Record<string, readonly number[]> = {
    nbits: [4],
    group_size: [8],
    axis: [1],
    shape: [N, K],
    weight_shape: [N, K],
  };
  const items = new Map<string, Item>();
  for (const suffix of SUFFIXES) {
    if (rnd(3) === 0) continue;
    const wrong = rnd(12) === 0;
    const [dtype, shape] = (!wrong && right[suffix]) || [
      DTYPES[rnd(DTYPES.length)]!,
      Array.from({ length: rnd(3) }, () => rnd(9)),
    ];
    const bytes = new Uint8Array(Number(fileTensorBytes(dtype, shape))).map(() => (rnd(4) ? rnd(4) : rnd(256)));
    const known = numbers[suffix];
    if (known !== undefined && dtype === 'I64' && rnd(10) > 0 && bytes.length === 8 * known.length)
      new BigInt64Array(bytes.buffer).set(known.map(BigInt));
    const item = suffix.includes('quant_state') ? stateItem(rnd) : { dtype, shape, bytes };
    items.set(`m.${suffix}`, item);
  }
  const get = (key: string): Item => {
    const found = items.get(key);
    if (found) return found;
    // as files say it
    throw new AoError('ERR_AO_FORMAT', 'the file has no such tensor', { tensor: key, fix: 'name one that it has' });
  };
  return {
    name: 'fuzz.safetensors',
    metadata: {},
    names: [...items.keys()],
    has: (key) => items.has(key),
    entry: (key) => ({ name: key, dtype: get(key).dtype, shape: get(key).shape, begin: 0, end: get(key).bytes.length }),
    read: async (key) => get(key).bytes.slice(),
    readRange: async (key, begin, end) => get(key).bytes.slice(begin, end),
    locate: () => {
      throw new Error('not asked for');
    },
  };
}

function stateItem(rnd: Random): Item {
  const text = rnd(3) ? STATE : mutateText(STATE, rnd);
  const bytes = new TextEncoder().encode(text);
  return { dtype: 'U8', shape: [bytes.length], bytes };
}

/** Each format on files of random tensors: every part is read. */
export async function fuzzForeign(cases: number, seed: number, tick?: (done: number) => void): Promise<FuzzResult> {
  const rnd = random(seed);
  let rejected = 0;
  for (let i = 0; i < cases; i++) {
    const json: Json = { quantization_config: QUANTIZATION[rnd(QUANTIZATION.length - 1)]! };
    const file = fileOf(rnd);
    const { format, config } = foreignConfig(json, 'config.json')!;
    try {
      const read = asTorchAo(file, await format.tensors(file, config));
      for (const key of read.names) {
        if (file.has(key)) continue;
        const { dtype, shape } = read.entry(key);
        const bytes = await read.read(key);
        const wanted = fileTensorBytes(dtype, shape);
        if (bytes.length !== wanted) throw new Error(`${key} has ${bytes.length} bytes, not ${wanted}`);
      }
    } catch (error) {
      if (!isRefusal(error)) {
        const header = file.names
          .map((name) => `${name} ${file.entry(name).dtype} [${file.entry(name).shape}]`)
          .join(', ');
        throw failed(i, seed, `${format.name}: ${header}`, error);
      }
      rejected++;
    }
    tick?.(i + 1);
  }
  return { cases, rejected, opened: cases - rejected };
}
