// SCHEMES.md: the signal to noise ratio of every scheme beside torchao's. `vitest run packages/quantization/test/schemes.test.ts -u`
// writes it from the goldens; the test fails where the file says something else than the code does today.
import { readFileSync } from 'node:fs';
import {
  bytesSource,
  type Dense,
  dequantize,
  dequantizeAffineFloatx,
  dtypeByName,
  linear,
  philox,
  type RawArray,
  type Runtime,
  reshape,
  type Tensor,
  tensor,
  type Wrapped,
} from '@ao/core';
import { type GoldenCase, goldenCases, goldenInputs, goldenOutputs, referenceLinear, sqnr } from '@ao/testing';
import { expect, it } from 'vitest';
import { fromMx, toMx } from '../src/formats/mx.ts';
import { nf4Dequantize, nf4Quantize } from '../src/formats/nf4.ts';
import { nvfp4Dequantize, nvfp4Quantize, perTensorScale } from '../src/formats/nvfp4.ts';
import { computeError, isProblem, parseScheme, planTensor, quantizeTensor, readStateDict } from '../src/index.ts';
import { floatxFromHp } from '../src/schemes/fpx.ts';
import { devices } from './devices.ts';
import { inputs, quantized } from './golden-linear.ts';

const { rt } = devices[0]!;
const db = (x: number | undefined): string => (x === undefined ? '-' : x === Infinity ? 'exact' : x.toFixed(2));

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((c, i) => c.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(head), `| ${widths.map((w) => '-'.repeat(w)).join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** Whether every part that the golden fixes bit for bit is so. */
async function codesEqual(c: GoldenCase, parts: Readonly<Record<string, Tensor>>): Promise<boolean> {
  const want = await goldenOutputs(c);
  for (const [role, { agree }] of Object.entries(c.outputs)) {
    const t = parts[role];
    if (t === undefined || agree !== 'exact') continue;
    const bits = (await (t as Dense).bits()) as RawArray;
    if (!bits.every((code, i) => code === want[role]!.bits[i])) return false;
  }
  return true;
}

const NOT_THERE = [
  [
    'weights of conv2d and conv3d (`IntxWeightOnlyConfig`; float8 by tensor, on SM100), `swap_conv2d_1x1_to_linear`',
    "nothing here convolves: a patch embedding is one linear over patches, 0.7% of a ViT-B's weights, and stays in its dtype as torchao's default filter leaves it",
  ],
  [
    '3-D weights in MX and NVFP4',
    'torchao 0.18 fails on the first, refuses NVFP4 weight-only, and has the dynamic form on SM100 alone; experts are quantized one by one here',
  ],
];

interface Row {
  readonly weight: Record<string, readonly [ours: number, theirs: number]>;
  /** Ours less torchao's, of the products. */
  worst: number;
  equal: boolean;
}

/** Linear layers by scheme, the dtypes side by side. */
async function linearRows(): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for (const c of goldenCases((g) => g.op === 'quantized_linear')) {
    const [, scheme, dtype] = c.name.split('/') as [string, string, string];
    const { weight, x, bias } = (await inputs(rt, c)) as { weight: Dense; x: Dense; bias?: Dense };
    const w = quantized(c, weight);
    const row = rows.get(scheme) ?? { weight: {}, worst: Number.POSITIVE_INFINITY, equal: true };
    const plain = await goldenInputs(c);
    const theirs = c.sqnr_db?.dequant;
    if (theirs !== undefined) row.weight[dtype] = [sqnr(plain.weight!.values(), await dequantize(w).data()), theirs];
    const y = sqnr(referenceLinear(plain.x!, plain.weight!, plain.bias), await linear(x, w, bias).data());
    if (c.sqnr_db?.y !== undefined) row.worst = Math.min(row.worst, y - c.sqnr_db.y);
    row.equal &&= await codesEqual(c, w.parts);
    rows.set(scheme, row);
  }
  return rows;
}

const ELEMENTS = {
  e4m3: 'float8_e4m3fn',
  e5m2: 'float8_e5m2',
  e2m3: 'fp6_e2m3',
  e3m2: 'fp6_e3m2',
  fp4: 'float4_e2m1fn_x2',
} as const;

/** Values of a format golden as we round them, and its codes. */
function rounded(c: GoldenCase, x: Dense): { values: Tensor; parts: Record<string, Tensor> } {
  const dtype = dtypeByName(c.outputs.dequant!.dtype);
  const K = x.shape.at(-1)!;
  if (c.op === 'mx') {
    const elem = ELEMENTS[c.params.elem as keyof typeof ELEMENTS];
    const parts = toMx(x, elem, 32, c.params.mode);
    return { values: fromMx(parts, elem, 32, K, dtype), parts: { ...parts } };
  }
  if (c.op === 'nvfp4') {
    const t = c.params.two_level ? perTensorScale(x) : undefined;
    const parts = nvfp4Quantize(x, 16, t);
    return { values: nvfp4Dequantize(parts.qdata, parts.scale, t, 16, K, dtype), parts };
  }
  if (c.op === 'nf4') {
    const { block_size: block, scaler_block_size: scales } = c.params;
    const parts = nf4Quantize(x, block, scales);
    return { values: reshape(nf4Dequantize(parts, x.numel, block, scales), x.shape), parts: { ...parts } };
  }
  const { ebits, mbits } = c.params;
  const { qdata, scale } = floatxFromHp(x, ebits, mbits);
  return { values: dequantizeAffineFloatx(qdata, scale, ebits, mbits), parts: { q: qdata, scale } };
}

async function formatRows(): Promise<string[][]> {
  const rows: string[][] = [];
  for (const c of goldenCases((g) => /^(mx|nvfp4|nf4|floatx)$/.test(g.op) && !/near_powers|swizzled/.test(g.name))) {
    const { x } = (await inputs(rt, c)) as { x: Dense };
    const { values, parts } = rounded(c, x);
    const signal = (await goldenInputs(c)).x!.values();
    const ours = sqnr(signal, await values.data());
    const theirs = sqnr(signal, (await goldenOutputs(c)).dequant!.values());
    expect(ours, c.name).toBeGreaterThan(theirs - 0.1);
    const equal = await codesEqual(c, parts);
    expect(equal, c.name).toBe(true);
    rows.push([c.name.replace(/^(formats|primitives)\//, ''), db(ours), db(theirs), 'yes']);
  }
  return rows;
}

/** Normal values by Box and Muller on Philox words. */
function normal(on: Runtime, shape: readonly [number, number]): Dense {
  const values = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => {
    const [a, b] = philox(7, i, 0);
    return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32);
  });
  return tensor(on, values, { shape });
}

const floats = [3, 4, 5, 6, 7, 8].flatMap((bits) =>
  Array.from({ length: bits - 1 }, (_, i) => `fp${bits}_e${i + 1}m${bits - 2 - i}`),
);
const alone = [
  'float8wo',
  'float8wo-e5m2',
  'float8wo-32',
  'float8wo-128x128',
  ...['mxfp8wo', 'mxfp8-e5m2wo', 'mxfp6-e2m3wo', 'mxfp6-e3m2wo', 'mxfp4wo', 'nvfp4wo', 'nf4wo'],
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((b) => [`uint${b}wo-64`, `uintx${b}wo-64`]),
  'uintx8wo-row',
  ...[2, 3, 4].flatMap((b) => [`codebook${b}wo`, `codebook${b}wo-64`, `lut${b}wo-2r`]),
  ...floats,
];

async function aloneRows(): Promise<string[][]> {
  const weight = normal(rt, [32, 256]);
  const rows: string[][] = [];
  for (const name of alone) {
    const config = parseScheme(name);
    const plan = planTensor(rt, config, { shape: weight.shape, dtype: 'float32' });
    if (isProblem(plan)) throw new Error(plan.problem);
    const value = await computeError(weight, quantizeTensor(weight, config));
    rows.push([name, String(plan.bits), ((8 * plan.bytes) / weight.numel).toFixed(3), db(value)]);
  }
  return rows;
}

/** Stacks of experts: ours against what torchao wrote. */
async function stackRows(): Promise<string[][]> {
  const file = new Uint8Array(readFileSync(new URL('golden/stacks.safetensors', import.meta.url)));
  const { weight, ...golden } = Object.fromEntries(await readStateDict(rt, bytesSource(file))) as Record<
    string,
    Tensor
  >;
  const rows: string[][] = [];
  for (const [name, theirs] of Object.entries(golden)) {
    const scheme = name.split('.')[1]!;
    const ours = quantizeTensor(weight!, parseScheme(scheme));
    for (const [part, want] of Object.entries((theirs as Wrapped).parts))
      expect(await (ours as Wrapped).parts[part]!.bits(), `${scheme} ${part}`).toEqual(await want.bits());
    rows.push([scheme, db(await computeError(weight!, ours)), db(await computeError(weight!, theirs)), 'yes']);
  }
  return rows;
}

it('SCHEMES.md is what the code does', { timeout: 120_000 }, async () => {
  const linears = await linearRows();
  const rows = [...linears].map(([scheme, { weight, worst, equal }]) => {
    const pair = (dtype: string): string =>
      weight[dtype] === undefined ? '-' : `${db(weight[dtype][0])} / ${db(weight[dtype][1])}`;
    for (const [ours, theirs] of Object.values(weight)) expect(ours, scheme).toBeGreaterThan(theirs - 0.1);
    expect(worst, scheme).toBeGreaterThan(-0.1);
    expect(equal, scheme).toBe(true);
    const output = worst === Infinity ? '-' : `${worst < 0 ? '' : '+'}${worst.toFixed(2)}`;
    return [scheme, pair('f32'), pair('bf16'), output, 'yes'];
  });
  const page = `# Schemes beside torchao

Written by \`vitest run packages/quantization/test/schemes.test.ts -u\` from the goldens of torchao 0.18; a test keeps it current. All
ratios are signal to noise in dB, ours / torchao's. Codes equal: every part that a golden fixes is the same, bit for bit.

## Linear layers

Weights of 32 x 128 (blocks and NF4: of their size). \`outputs\`: the worst of ours less torchao's over the layer's cases, at most 0.1 below.

${table(['scheme', 'weight f32', 'weight bf16', 'outputs', 'codes equal'], rows)}

## Formats

Blocks of goldens, rounded and back.

${table(['format', 'ours', "torchao's", 'codes equal'], await formatRows())}

## One weight in every scheme of floats and tables

32 x 256 normal values in float32, by short name. Bits per weight count scales and tables, as packed.

${table(['scheme', 'bits', 'bits a weight', 'dB'], await aloneRows())}

## Experts in one 3-D tensor

A bfloat16 stack [3, 8, 64] (\`test/golden/stacks.py\`): codes and scales with the leading dimension, and files byte for byte. intx, 8da4w and
tinygemm take stacks here alone; \`select(w, 0, e)\` is one expert.

${table(['scheme', 'ours', "torchao's", 'codes equal'], await stackRows())}

## Not there

${table(['torchao', 'why'], NOT_THERE)}
`;
  await expect(page).toMatchFileSnapshot('../SCHEMES.md');
});
