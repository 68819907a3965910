// x [M, K] times weights of Llama 8B's shapes in the forms that quantize_ packs: bfloat16; int8, int4, uint4 with zero points, 2:4 int4 and
// integers of other bits in groups of 128; float8, fp6 and NF4-like tables with a scale a row. Each product is also compared with that of
// a decoded weight.
import * as ao from '@ao/core';
import { normal_ } from '@ao/core/autograd';
import { type Part, timePlan } from '../part.ts';

const SHAPES = [
  [28672, 4096],
  [4096, 14336],
  [6144, 4096],
  [4096, 4096],
  [128256, 4096],
] as const;

const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 2048];

interface Form {
  readonly name: string;
  /** Bits of a column: codes and scales. */
  readonly bits: number;
  readonly format?: Pick<ao.WeightFormat, 'code'> & Partial<ao.WeightFormat>;
}
const inGroups = { groupSize: 128 };
const float8 = Float32Array.from({ length: 256 }, (_, c) => {
  const e = (c >> 3) & 15;
  const size = e === 0 ? (c & 7) * 2 ** -9 : (1 + (c & 7) / 8) * 2 ** (e - 7);
  return (c & 127) === 127 ? Number.NaN : c < 128 ? size : -size;
});
const numbers = Float32Array.from({ length: 16 }, (_, i) => Math.fround(Math.sin(i * 2.3)));
const FORMS: readonly Form[] = [
  { name: 'bfloat16', bits: 16 },
  { name: 'int8', bits: 8.125, format: { code: 'int8', ...inGroups } },
  { name: 'int4', bits: 4.125, format: { code: 'int4', ...inGroups } },
  { name: 'float8', bits: 8, format: { code: 'table', table: float8 } },
  { name: 'fp6', bits: 6, format: { code: 'table', table: ao.floatxValues(3, 2) } },
  { name: 'int4 2:4', bits: 3.125, format: { code: 'int4', ...inGroups, twoOfFour: true } },
];
/** Measured at M = 1 alone. */
const OTHERS: readonly Form[] = [
  { name: 'int4 zeros', bits: 4.25, format: { code: 'int4', ...inGroups, zeroDomain: 'float' } },
  { name: 'int4 g32', bits: 4.5, format: { code: 'int4', groupSize: 32 } },
  { name: 'int2', bits: 2.125, format: { code: 'int8', bits: 2, ...inGroups } },
  { name: 'int3', bits: 3.125, format: { code: 'int8', bits: 3, ...inGroups } },
  { name: 'int6', bits: 6.125, format: { code: 'int8', bits: 6, ...inGroups } },
  { name: 'table of 16', bits: 4.25, format: { code: 'table', table: numbers, groupSize: 64 } },
];

function weightOf(rt: ao.Runtime, [N, K]: readonly [number, number], form: Form, state: ao.Tensor): ao.Dense {
  const values = (shape: readonly number[], mean: number, std: number) =>
    normal_(ao.empty(rt, shape, { dtype: ao.bfloat16 }), mean, std, state) as ao.Dense;
  const w = form.format === undefined ? values([N, K], 0, 0.02) : ao.empty(rt, [N, K], { dtype: ao.bfloat16 });
  if (form.format === undefined) {
    ao.packWeight(rt, w);
    return w;
  }
  const format = { N, K, groupSize: K, zeroDomain: 'none', activation: 'exact', ...form.format } as ao.WeightFormat;
  const kept = format.twoOfFour ? K / 2 : K;
  const [least, most, type] =
    format.table !== undefined
      ? [0, format.table.length / 2 - 2, ao.uint8]
      : format.code === 'int4'
        ? [-128, 127, ao.int8]
        : [-(2 ** ((format.bits ?? 8) - 1)), 2 ** ((format.bits ?? 8) - 1) - 1, ao.int8];
  const mean = (least + most) / 2;
  const spread = ao.clamp(values([N, format.code === 'int4' ? kept / 2 : kept], mean, (most - mean) / 2), least, most);
  const codes = ao.cast(spread, type) as ao.Dense;
  const groups = K / format.groupSize;
  const size = format.table === undefined ? 0.02 / Math.max(1, most / 2) : 0.02;
  const scale = values([N, groups], size, size / 10);
  const zero = format.zeroDomain === 'none' ? {} : { zero: values([N, groups], 0, 0.01) };
  // each row has the six ways to keep two of four, in turn
  const ways = Uint8Array.of(0x84, 0xc9, 0xed, 0x4d, 0xec, 0x98);
  const meta = format.twoOfFour
    ? {
        meta: ao.fromBits(
          rt,
          Uint8Array.from({ length: (N * K) / 8 }, (_, i) => ways[i % 6]!),
          [N, K / 8],
          ao.uint8,
        ),
      }
    : {};
  w.packed = rt.packer('cuda')!.pack({ format, codes, scale, ...zero, ...meta } as ao.WeightParts, ao.bfloat16);
  w.releaseBytes();
  for (const t of [spread, codes, scale, ...Object.values(zero), ...Object.values(meta)]) t.dispose();
  return w;
}

/** |a - b| / |b| of the first rows. */
async function difference(a: ao.Tensor, b: ao.Tensor): Promise<number> {
  const [x, y] = [await a.data(), await b.data()];
  let [off, all] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    off += (x[i]! - y[i]!) ** 2;
    all += y[i]! ** 2;
  }
  return Math.sqrt(off / all);
}

export const linears: Part = {
  name: 'linear',
  async run(rt, say) {
    const state = ao.tensor(rt, [1, 0], { dtype: ao.int32 });
    const wanted = process.env['AO_LINEAR']?.split(',');
    const rows = process.env['AO_LINEAR_ROWS']?.split(',').map(Number);
    for (const form of [...FORMS, ...OTHERS]) {
      if (wanted !== undefined && !wanted.includes(form.name)) continue;
      for (const [N, K] of OTHERS.includes(form) ? SHAPES.slice(0, 1) : SHAPES) {
        const bytes = (N * K * form.bits) / 8;
        // so many that the cache holds none
        const weights = Array.from({ length: Math.min(32, Math.max(3, Math.ceil(3e8 / bytes))) }, () =>
          weightOf(rt, [N, K], form, state),
        );
        const all = normal_(ao.empty(rt, [2048, K], { dtype: ao.bfloat16 }), 0, 1, state);
        const right = ao.linear(all, weights[0]!);
        const sizes = SIZES.filter(
          (M) => (N > 100_000 ? M === 1 : !OTHERS.includes(form) || M === 1 || M === 16) && (rows?.includes(M) ?? true),
        );
        for (const M of sizes) {
          const x = ao.slice(all, 0, 0, M);
          const off = M === 2048 ? 0 : await difference(ao.linear(x, weights[0]!), ao.slice(right, 0, 0, M));
          if (!(off < 0.006))
            say({ name: `linear ${form.name} [${M}, ${K}] x [${N}, ${K}]: off by ${off}`, unit: 'failed', value: 1 });
          const calls = Array.from(
            { length: M === 2048 ? 6 : 48 },
            (_, i) => () => ao.linear(x, weights[i % weights.length]!),
          );
          say({
            name: `linear ${form.name} [${M}, ${K}] x [${N}, ${K}]`,
            unit: 'us',
            value: await timePlan(rt, calls),
            bytes,
          });
        }
        for (const t of [all, right, ...weights]) t.dispose();
      }
    }
    state.dispose();
  },
};
