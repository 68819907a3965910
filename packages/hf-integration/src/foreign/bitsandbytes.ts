// bitsandbytes. 4 bits: weight uint8 [N * K / 2, 1], the first of two values in the high nibble; w = quant_map[q] * absmax of each
// block of 64 values of the flat weight. With double quantization absmax = nested_quant_map[absmax] * nested_absmax of 256
// blocks + offset; shape, dtype and blocks are JSON in weight.quant_state.bitsandbytes__nf4. 8 bits: weight int8 [N, K],
// SCB float32 [N]; w = q * SCB / 127.
import type { TensorFile } from '@ao/core';
import { type AoConfig, int8WeightOnly, intxWeightOnly, perGroup } from '@ao/quantization';
import type { Fields } from '../config/fields.ts';
import { expectTensor, matrixOf, unreadable } from './errors.ts';
import type { ForeignFormat, ForeignTensor } from './format.ts';
import { coded, dense, int8Rows } from './forms.ts';
import { floats, same, valuesOf } from './parts.ts';

const NAME = 'bitsandbytes';
const STATE = /\.weight\.quant_state\.bitsandbytes__(nf4|fp4)$/;
/** How bitsandbytes writes 1 / 127. */
const PER_CODE = Math.fround(7.874015718698502e-3);

interface State {
  readonly shape: readonly [number, number];
  readonly blocksize: number;
  readonly dtype: string;
  readonly nested_blocksize?: number;
  readonly nested_offset?: number;
}

export const bitsandbytes: ForeignFormat = {
  name: NAME,
  matches: (config) => config.json['quant_method'] === 'bitsandbytes',

  quantization(config): AoConfig {
    if (isInt8(config)) return int8WeightOnly();
    return intxWeightOnly({ weightDtype: 'int4', granularity: perGroup(64) });
  },

  async tensors(file, config) {
    const all: ForeignTensor[] = [];
    for (const key of file.names) {
      if (STATE.test(key)) all.push(await fourBits(file, key));
      else if (key.endsWith('.SCB')) all.push(eightBits(file, key, config));
    }
    return all;
  },
};

const isInt8 = (config: Fields): boolean => config.flag('load_in_8bit', config.flag('_load_in_8bit', false));

function eightBits(file: TensorFile, scb: string, config: Fields): ForeignTensor {
  const module = scb.slice(0, -'.SCB'.length);
  const name = `${module}.weight`;
  const [N, K] = matrixOf(NAME, file, name);
  expectTensor(NAME, file, name, ['I8'], [N, K]);
  expectTensor(NAME, file, scb, ['F32'], [N]);
  const scale = floats('F32', [N, 1], async () => Float32Array.from(await valuesOf(file, scb), (s) => s * PER_CODE));
  const format = `${module}.weight_format`;
  const form = int8Rows({ qdata: same(file, name), scale, dtype: halfOf(config), dynamic: false });
  return { name, uses: [name, scb, ...(file.has(format) ? [format] : [])], ...form };
}

/** The dtype of what LLM.int8() gives. */
function halfOf(config: Fields): string {
  return config.text('torch_dtype', 'float16').replace(/^torch\./, '');
}

async function fourBits(file: TensorFile, key: string): Promise<ForeignTensor> {
  const name = key.replace(/\.quant_state\.[^.]*$/, '');
  const state = parseState(key, await file.read(key));
  const [N, K] = state.shape;
  const of = (part: string): string => `${name}.${part}`;
  const nested = state.nested_blocksize !== undefined;
  const uses = [key, name, of('absmax'), of('quant_map')];
  if (nested) uses.push(of('nested_absmax'), of('nested_quant_map'));
  const missing = uses.find((part) => !file.has(part));
  if (missing !== undefined) throw damaged('the file lacks this tensor', missing);
  const { begin, end } = file.entry(name);
  if ((end - begin) * 2 !== N * K) throw damaged(`it does not hold ${N} x ${K} codes`, name);
  const table = Float32Array.from(await valuesOf(file, of('quant_map')));
  if (table.length !== 16) throw damaged(`a table of ${table.length} values`, of('quant_map'));
  const scales = (): Promise<Float32Array> => absmaxOf(file, of, state);
  const codes = async (): Promise<Int8Array> => {
    const bytes = await file.read(name);
    const out = new Int8Array(N * K);
    for (let i = 0; i < bytes.length; i++) {
      out[2 * i] = (bytes[i]! >> 4) - 8;
      out[2 * i + 1] = (bytes[i]! & 15) - 8;
    }
    return out;
  };
  const dtype = { float16: 'F16', bfloat16: 'BF16', float32: 'F32' }[state.dtype.replace(/^torch\./, '')] ?? 'F32';
  const groupSize = state.blocksize;
  if (K % groupSize === 0) {
    const scale = floats('F32', [N, K / groupSize], scales);
    return { name, uses, ...coded({ bits: 4, groupSize, shape: [N, K], dtype, table, codes, scale }) };
  }
  const make = async (): Promise<Float32Array> => {
    const [q, s] = [await codes(), await scales()];
    return Float32Array.from(q, (code, i) => table[code + 8]! * s[Math.floor(i / groupSize)]!);
  };
  const note = `blocks of ${groupSize} cross its rows of ${K}: dequantized to ${dtype}`;
  return { name, uses, ...dense(dtype, [N, K], make), note };
}

async function absmaxOf(file: TensorFile, of: (part: string) => string, state: State): Promise<Float32Array> {
  const { nested_blocksize: block, nested_offset: offset = 0 } = state;
  const count = Math.ceil((state.shape[0] * state.shape[1]) / state.blocksize);
  expectTensor(NAME, file, of('absmax'), [block === undefined ? 'F32' : 'U8'], [count]);
  if (block !== undefined) {
    expectTensor(NAME, file, of('nested_absmax'), ['F32'], [Math.ceil(count / block)]);
    expectTensor(NAME, file, of('nested_quant_map'), ['F32'], [256]);
  }
  if (block === undefined) return Float32Array.from(await valuesOf(file, of('absmax')));
  const [q, map, scale] = [
    await file.read(of('absmax')),
    await valuesOf(file, of('nested_quant_map')),
    await valuesOf(file, of('nested_absmax')),
  ];
  return Float32Array.from(q, (code, i) => Math.fround(map[code]! * scale[Math.floor(i / block)]!) + offset);
}

const damaged = (problem: string, tensor: string) => unreadable(NAME, problem, 'write the checkpoint again', tensor);

function parseState(key: string, bytes: Uint8Array): State {
  let state: State;
  try {
    state = JSON.parse(new TextDecoder().decode(bytes)) as State;
  } catch {
    throw damaged('it is no JSON', key);
  }
  const whole = (n: unknown): boolean => Number.isInteger(n) && (n as number) > 0;
  const nested = state?.nested_blocksize;
  if (
    Array.isArray(state?.shape) &&
    state.shape.length === 2 &&
    state.shape.every(whole) &&
    whole(state.blocksize) &&
    typeof state.dtype === 'string' &&
    (nested === undefined || whole(nested))
  )
    return state;
  throw damaged('shape, blocksize or dtype is missing or wrong', key);
}
