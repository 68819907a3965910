// Every golden of the primitives, by the reference kernel and by the decomposition that other backends use.
import {
  bfloat16,
  cast,
  chooseQparamsAffine,
  chooseQparamsAffineDontPreserveZero,
  chooseQparamsAffineFloatx,
  chooseQparamsAffineTinygemm,
  chooseQparamsAffineWithMinMax,
  chooseQparamsAndQuantizeAffineHqq,
  chooseQparamsAndQuantizeScaleOnlyHqq,
  chooseScaleFloat8,
  type Dense,
  dequantizeAffine,
  dequantizeAffineFloat8,
  dequantizeAffineFloatx,
  dequantizeAffineNoZeroPoint,
  dequantizeAffineTinygemm,
  dtypeByName,
  dtypeRange,
  fakeQuantizeAffine,
  float32,
  int8,
  int32,
  intMm,
  type Op,
  packInt4,
  quantizeAffine,
  quantizeAffineFloat8,
  quantizeAffineFloatx,
  quantizeAffineNoZeroPoint,
  quantizeAffineTinygemm,
  quantizeInt4,
  type Tensor,
  tensor,
  unpackInt4,
} from '@ao/core';
import { expectGolden, type GoldenCase, goldenCases } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { devices } from './devices.ts';
import { inputs } from './golden-linear.ts';

const { rt } = devices[0]!;

const covered = goldenCases((c) => c.family === 'primitives');

type Inputs = Record<string, Dense>;

/** The op itself, or what other backends run. */
type Call = <A extends readonly unknown[], R>(op: Op<A, R>) => (...args: A) => R;
const byKernel: Call = (op) => op as never;
const byDecomposition: Call = (op) => (op.spec.decompose ?? op) as never;

const run: Record<string, (c: GoldenCase, t: Inputs, call: Call) => Record<string, Tensor>> = {
  affine(c, { x }, call) {
    const { mapping, block_size: blockSize, quant, ...rest } = c.params;
    expect(Object.keys(rest), c.name).toEqual([]);
    const [scale, zero_point] = call(chooseQparamsAffine)(x!, mapping, blockSize, quant);
    const q = call(quantizeAffine)(x!, blockSize, scale, zero_point, quant);
    const dequant = call(dequantizeAffine)(q, blockSize, scale, zero_point, quant, { outputDtype: x!.dtype });
    return { scale, zero_point, q, dequant, fake: call(fakeQuantizeAffine)(x!, blockSize, scale, zero_point, quant) };
  },
  tinygemm(c, { x }, call) {
    const blockSize = c.params.block_size;
    const [scale, zero_point] = call(chooseQparamsAffineTinygemm)(x!, 'ASYMMETRIC', blockSize, 'uint4');
    const q = call(quantizeAffineTinygemm)(x!, blockSize, scale, zero_point, 'uint4');
    const options = { outputDtype: x!.dtype };
    return {
      scale,
      zero_point,
      q,
      dequant: call(dequantizeAffineTinygemm)(q, blockSize, scale, zero_point, 'uint4', options),
    };
  },
  hqq(c, { x }, call) {
    const { nbits, group_size: groupSize, raw_output: rawOutput } = c.params;
    const [q, scale, zero_point] = call(chooseQparamsAndQuantizeAffineHqq)(x!, nbits, groupSize, { rawOutput });
    const options = { outputDtype: dtypeByName(c.outputs.dequant!.dtype) };
    const dequant = rawOutput
      ? dequantizeAffine(q, [1, groupSize], scale, zero_point, 'uint8', options)
      : dequantizeAffineTinygemm(q, [1, groupSize], scale, zero_point, `uint${nbits}`, options);
    return { q, scale, zero_point, dequant };
  },
  hqq_scale_only(c, { x }, call) {
    const range = dtypeRange('test', c.params.quant);
    const [q, scale] = call(chooseQparamsAndQuantizeScaleOnlyHqq)(x!, c.params.group_size, range);
    return { q: cast(q, int32), scale };
  },
  float8(c, { x }, call) {
    const { block_size: blockSize, dtype: name, lb, ub, e8m0, ...rest } = c.params;
    expect(Object.keys(rest), c.name).toEqual([]);
    const dtype = dtypeByName(`float8_${name}`);
    const options = { hpValueLb: lb, hpValueUb: ub, powerOfTwo: e8m0 };
    const scale = call(chooseScaleFloat8)(x!, blockSize, dtype, options);
    const q = call(quantizeAffineFloat8)(x!, scale, dtype);
    return { scale, q, dequant: call(dequantizeAffineFloat8)(q, scale, x!.dtype) };
  },
  floatx(c, { x }, call) {
    const { ebits, mbits } = c.params;
    const scale = call(chooseQparamsAffineFloatx)(x!, ebits, mbits);
    const q = call(quantizeAffineFloatx)(x!, scale, ebits, mbits);
    return { scale, q, dequant: call(dequantizeAffineFloatx)(q, scale, ebits, mbits) };
  },
  min_max(c, { mn, mx }, call) {
    const [scale, zero_point] = call(chooseQparamsAffineWithMinMax)(mn!, mx!, c.params.mapping, 'int8');
    return { scale, zero_point };
  },
};

const ways = devices.flatMap(({ device, rt: on }) => [
  { way: `kernels of ${device}`, on, call: byKernel },
  { way: `decompositions on ${device}`, on, call: byDecomposition },
]);

describe('goldens', () => {
  it('are all there', () => expect(covered).toHaveLength(212));
});

describe.each(ways)('goldens by $way', ({ on, call }) => {
  it.each(covered.map((c) => [c.name, c] as const))('%s', async (_name, c) => {
    const outputs = run[c.op]!(c, await inputs(on, c), call);
    await expectGolden(c, Object.fromEntries(Object.entries(outputs).filter(([role]) => role in c.outputs)));
  });
});

const near = (rows: number, columns: number): Float32Array =>
  Float32Array.from({ length: rows * columns }, (_, i) => Math.fround(Math.sin(i * 12.9898) * 3 + Math.cos(i)));

describe.each([['float32'], ['bfloat16']] as const)('kernel equals decomposition beyond the goldens (%s)', (name) => {
  const make = (rows: number, columns: number): Dense => {
    const t = tensor(rt, near(rows, columns), { shape: [rows, columns] });
    return name === 'float32' ? t : tensor(rt, t.dataSync(), { shape: [rows, columns], dtype: bfloat16 });
  };
  const same = (a: readonly Tensor[] | Tensor, b: readonly Tensor[] | Tensor): void => {
    const [x, y] = [[a].flat(), [b].flat()] as [Tensor[], Tensor[]];
    expect(x.map((t) => [t.dtype.name, t.shape, [...t.bitsSync()]])).toEqual(
      y.map((t) => [t.dtype.name, t.shape, [...t.bitsSync()]]),
    );
  };

  it('int4 rows', () => {
    const x = make(4, 96);
    for (const dtype of [undefined, float32, bfloat16]) {
      same(quantizeInt4(x, 32, dtype), quantizeInt4.spec.decompose!(x, 32, dtype));
    }
    const codes = unpackInt4(quantizeInt4(x, 32)[0]);
    same(packInt4(codes), packInt4.spec.decompose!(codes));
    const packed = packInt4(codes);
    same(unpackInt4(packed), unpackInt4.spec.decompose!(packed));
    same(unpackInt4(packed), codes);
  });

  it('ranges that do not hold zero, no zero point, and options', () => {
    const x = tensor(
      rt,
      near(4, 64).map((v) => v + 9),
      { shape: [4, 64], dtype: make(1, 1).dtype },
    );
    const args = [
      x,
      'ASYMMETRIC',
      [1, 16],
      'int8',
      { scaleDtype: bfloat16, zeroPointDtype: int8, keepdim: true, eps: 2 ** -9, quantMin: -64, quantMax: 63 },
    ] as const;
    same(chooseQparamsAffine(...args), chooseQparamsAffine.spec.decompose!(...args));
    same(chooseQparamsAffineDontPreserveZero(...args), chooseQparamsAffineDontPreserveZero.spec.decompose!(...args));
    const [scale] = chooseQparamsAffine(x, 'SYMMETRIC', [1, 16], 'int6');
    const q = quantizeAffineNoZeroPoint(x, [1, 16], scale, null, 'int6');
    same(q, quantizeAffineNoZeroPoint.spec.decompose!(x, [1, 16], scale, null, 'int6'));
    const o = { outputDtype: x.dtype };
    same(
      dequantizeAffineNoZeroPoint(q, [1, 16], scale, null, 'int6', o),
      dequantizeAffineNoZeroPoint.spec.decompose!(q, [1, 16], scale, null, 'int6', o),
    );
  });
});

describe('arguments', () => {
  it('sums int8 products exactly, whatever the length', () => {
    const k = 2500;
    const a = tensor(
      rt,
      Int8Array.from({ length: 2 * k }, (_, i) => (i % 2 === 0 ? -128 : 127)),
      { shape: [2, k], dtype: int8 },
    );
    const want = Array.from(a.dataSync())
      .slice(0, k)
      .reduce((s, v) => s + v * v, 0);
    expect([...intMm(a, a).dataSync()]).toEqual([want, want, want, want]);
    expect([...intMm.spec.decompose!(a, a).dataSync()]).toEqual([want, want, want, want]);
  });

  it('a zero row gives the smallest normal scale and codes 0', () => {
    const x = tensor(rt, new Float32Array(8), { shape: [1, 8] });
    const [scale, zero] = chooseQparamsAffine(x, 'SYMMETRIC', [1, 8], 'int8');
    expect(scale.dataSync()[0]).toBe(2 ** -126);
    expect([...quantizeAffine(x, [1, 8], scale, zero, 'int8').dataSync()]).toEqual(Array(8).fill(0));
  });

  it('are checked before work', () => {
    const x = tensor(rt, near(2, 32), { shape: [2, 32] });
    const [scale, zero] = chooseQparamsAffine(x, 'SYMMETRIC', [1, 16], 'int8');
    expect(() => chooseQparamsAffine(x, 'SYMMETRIC', [1, 20], 'int8')).toThrow('no multiple of its block 20');
    expect(() => chooseQparamsAffine(x, 'SYMMETRIC', [1, 16], 'float32')).toThrow('no quantized integer type');
    expect(() => chooseQparamsAffineTinygemm(x, 'SYMMETRIC', [1, 16], 'uint4')).toThrow("use 'ASYMMETRIC'");
    expect(() => quantizeAffine(x, [1, 32], scale, zero, 'int8')).toThrow('need [2,1]');
    expect(() => quantizeAffine(x, [1, 16], scale, null, 'int8')).toThrow('zero point is missing');
    expect(() => quantizeAffineNoZeroPoint(x, [1, 16], scale, zero, 'int8')).toThrow('a zero point was given');
    expect(() => quantizeAffine(x, [1, 16], scale, zero, 'int8', { quantMax: 200 })).toThrow('does not fit int8');
    expect(() => quantizeInt4(x, 24)).toThrow('does not divide 32');
    expect(() => packInt4(tensor(rt, [[1, 2, 3]], { dtype: int8 }))).toThrow('do not pair up');
  });
});
