// Whether two devices quantize to the same bytes: every scheme on weights of both dtypes, every part bit for bit, kinds inside kinds too.
import {
  bfloat16,
  type Dense,
  type DType,
  encodeArray,
  float32,
  fromBits,
  isWrapped,
  philox,
  type Runtime,
  type Tensor,
} from '@ao/core';
import { type AoConfig, parseScheme, quantizeTensor } from '@ao/quantization';
import { int4WeightOnlySemiSparseWeight, semiSparseWeight } from '@ao/sparsity';
import { SCHEME_ROWS } from './scheme-list.ts';

/** What the tables of MEASURED.md leave out of SCHEMES.md. */
const MORE = [
  'int8wo-tensor',
  'int8dq-tensor',
  'int8dq-reduce_range',
  'int4wo-128',
  'int4wo-tiles-64',
  ...[1, 2, 3, 4, 5, 6, 7, 8].flatMap((bits) => [`intx${bits}-sym-32`, `intx${bits}-asym-64`]),
  'intx4-noclip-32',
  'intx4-hqq-32',
  'intx4-sym',
  '8da4w-asym-32',
  '8da8w-axis',
  'float8wo-tensor',
  'float8dq-tensor',
  'float8dq-row',
  'float8wo-32',
  'float8dq-128x128',
  'float8dq-int4',
  ...['8', '8-e5m2', '6-e2m3', '6-e3m2', '4'].flatMap((f) => ['', '-floor', '-even'].map((m) => `mxfp${f}dq${m}`)),
  'nvfp4wo-single',
  'nf4wo-128',
  'fp6_e2m3',
  'fp5_e3m1',
  'fp4_e2m1',
  'uint4wo-hqq',
  'nvfp4dq',
  ...[1, 2, 3, 4, 5, 6, 7].map((bits) => `uint${bits}wo`),
];

export function byteConfigs(): { readonly name: string; readonly config: AoConfig }[] {
  const named = [...SCHEME_ROWS, ...MORE.map((name) => ({ name, config: parseScheme(name) }))];
  const sparse = [
    { name: 'sparse24', config: semiSparseWeight({}) },
    { name: 'sparse24 of int8wo', config: semiSparseWeight({ values: parseScheme('int8wo') }) },
    { name: 'sparse24 of float8wo', config: semiSparseWeight({ values: parseScheme('float8wo') }) },
    { name: 'sparse24 of int4wo-64', config: int4WeightOnlySemiSparseWeight({ groupSize: 64 }) },
  ];
  return [...named, ...sparse];
}

/** Normal values with rows of zeros, of one value, of ties and of outliers among them. */
function weight(
  [N, K]: readonly [number, number],
  dtype: DType,
): { readonly bits: ReturnType<typeof encodeArray>; readonly shape: [number, number] } {
  const values = new Float32Array(N * K);
  for (let i = 0; i < values.length; i++) {
    const [a, b] = philox(7, i, 0);
    const row = Math.floor(i / K) % 8;
    const u = Math.sqrt(-2 * Math.log((a! + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b!) / 2 ** 32);
    values[i] =
      row === 1
        ? 0
        : row === 2
          ? 0.5
          : row === 3
            ? Math.round(4 * u) / 4
            : row === 4 && i % 97 === 0
              ? 1e3 * u
              : 0.02 * u;
  }
  return { bits: encodeArray(dtype, values), shape: [N, K] };
}

/** The plain bytes of a tensor's parts by name, of kinds inside kinds too. */
async function bytesOf(t: Tensor, name = ''): Promise<Map<string, Uint8Array>> {
  if (!isWrapped(t)) {
    const { buffer, byteOffset, byteLength } = await (t as Dense).bits();
    return new Map([[name, new Uint8Array(buffer, byteOffset, byteLength)]]);
  }
  const all = new Map<string, Uint8Array>();
  for (const [part, inner] of Object.entries(t.parts))
    for (const [key, bytes] of await bytesOf(inner, name === '' ? part : `${name}.${part}`)) all.set(key, bytes);
  return all;
}

export interface ByteDifference {
  readonly scheme: string;
  readonly dtype: string;
  /** What differs: a part, how many of its bytes, and the first of them; or an error of one device. */
  readonly what: string;
}

/** Every scheme on `a` and on `b`: what differs, and how many weights were compared. */
export async function quantizedBytes(
  rt: Runtime,
  [a, b]: readonly [string, string],
  shape: readonly [number, number],
): Promise<{ readonly compared: number; readonly differences: readonly ByteDifference[] }> {
  const differences: ByteDifference[] = [];
  let compared = 0;
  for (const dtype of [float32, bfloat16]) {
    const { bits } = weight(shape, dtype);
    for (const { name: scheme, config } of byteConfigs()) {
      const on = async (device: string): Promise<Map<string, Uint8Array> | string> => {
        const w = fromBits(rt, bits, shape, dtype, { device });
        try {
          const t = quantizeTensor(w, config);
          const bytes = await bytesOf(t);
          t.dispose();
          return bytes;
        } catch (error) {
          return (error as Error).message;
        } finally {
          w.dispose();
        }
      };
      const what = differenceOf(await on(a), await on(b), [a, b]);
      compared++;
      if (what !== undefined) differences.push({ scheme, dtype: dtype.name, what });
    }
  }
  return { compared, differences };
}

type Outcome = ReadonlyMap<string, Uint8Array> | string;

function differenceOf(x: Outcome, y: Outcome, [a, b]: readonly [string, string]): string | undefined {
  if (typeof x === 'string' || typeof y === 'string') {
    // a scheme that a dtype cannot have is refused before any device is asked
    return x === y
      ? undefined
      : [x, y].map((z, i) => `${i === 0 ? a : b}: ${typeof z === 'string' ? z : 'done'}`).join('; ');
  }
  for (const [part, bytes] of x) {
    const other = y.get(part);
    if (other?.length !== bytes.length) return `${part} has ${bytes.length} bytes on ${a}, ${other?.length} on ${b}`;
    const wrong = bytes.reduce((n, byte, i) => n + Number(byte !== other[i]), 0);
    const at = bytes.findIndex((byte, i) => byte !== other[i]);
    if (wrong > 0)
      return `${part}: ${wrong} of ${bytes.length} bytes, the first at ${at}: ${bytes[at]} on ${a}, ${other[at]} on ${b}`;
  }
  return undefined;
}
