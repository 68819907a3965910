// The reference kernels of the quantization primitives: the plain arithmetic of this folder on tensors. Without them the
// reference backend runs the ops' decompositions, to the same bits.
import {
  checkedRange,
  chooseQparamsAffine,
  chooseQparamsAffineDontPreserveZero,
  chooseQparamsAffineTinygemm,
  chooseQparamsAffineWithMinMax,
  chooseQparamsAndQuantizeAffineHqq,
  chooseQparamsAndQuantizeScaleOnlyHqq,
  type Dense,
  type Dequantize,
  type DType,
  dequantizeAffine,
  dequantizeAffineNoZeroPoint,
  dequantizeAffineTinygemm,
  encodeArray,
  intMm,
  type KernelEntry,
  kernel,
  type Op,
  packBits,
  packInt4,
  promoteTypes,
  type Quantize,
  quantizeAffine,
  quantizeAffineNoZeroPoint,
  quantizeAffineTinygemm,
  quantizeInt4,
  store,
  storeRaw,
  type Tensor,
  unpackBits,
  unpackInt4,
  valuesOf,
  type ZeroPointForm,
} from '@ao/core';
import { kMeans } from '../formats/k-means.ts';
import * as affine from './affine.ts';
import { packRows, unpackRows } from './bits.ts';
import { hqq, hqqScaleOnly } from './hqq.ts';
import { int4Row, packNibbles, unpackNibbles } from './int4.ts';
import { codesOf, lloyd } from './k-means.ts';
import { blockRange, blocksOf, roundingOf } from './numerics.ts';

const floats = (t: Dense): Float32Array => Float32Array.from(valuesOf(t));

/** Raw copies of a tensor's own dtype first, then the cast that `.to(dtype)` does. */
function put(out: Dense, values: Float32Array, from: DType): void {
  store(out, from === out.dtype ? values : Float32Array.from(encodeArray(from, values), (raw) => from.decode(raw)));
}

function chooseKernel(op: typeof chooseQparamsAffine, preserveZero: boolean): KernelEntry {
  return kernel(op, 'reference', ([scale, zero], input, mapping, blockSize, target, o = {}) => {
    const range = checkedRange(op.id, target, o.quantMin, o.quantMax);
    const { min, max } = blockRange(valuesOf(input), blocksOf(op.id, input.shape, blockSize));
    const eps = o.eps ?? input.dtype.smallestNormal;
    const q = affine.chooseFromRange(min, max, {
      ...range,
      mapping,
      eps,
      round: roundingOf(input.dtype),
      preserveZero,
    });
    put(scale, q.scale, input.dtype);
    store(zero, q.zeroPoint);
  });
}

function quantizeKernel(op: Op<Quantize, Tensor>, form: ZeroPointForm): KernelEntry {
  return kernel(op, 'reference', (out, input, blockSize, scale, zeroPoint, dtype, o = {}) => {
    const zero = zeroPoint === null ? null : floats(zeroPoint as Dense);
    const options = {
      ...checkedRange(op.id, dtype, o.quantMin, o.quantMax),
      scale: floats(scale),
      zeroPoint: zero,
      roundScale: roundingOf(scale.dtype),
      round: roundingOf(promoteTypes(input.dtype, scale.dtype)),
    };
    const blocks = blocksOf(op.id, input.shape, blockSize);
    const x = valuesOf(input);
    const codes =
      form === 'float' && zero !== null
        ? affine.quantizeTinygemm(x, blocks, { ...options, zeroPoint: zero })
        : affine.quantizeBlocks(x, blocks, options);
    store(out, codes);
  });
}

function dequantizeKernel(op: Op<Dequantize, Tensor>, form: ZeroPointForm): KernelEntry {
  return kernel(op, 'reference', (out, input, blockSize, scale, zeroPoint, dtype, o = {}) => {
    const options = {
      scale: floats(scale),
      zeroPoint: zeroPoint === null ? null : floats(zeroPoint as Dense),
      roundOut: roundingOf(out.dtype),
      round: roundingOf(promoteTypes(out.dtype, scale.dtype)),
    };
    const blocks = blocksOf(op.id, input.shape, blockSize);
    const q = valuesOf(input);
    const range = checkedRange(op.id, dtype, o.quantMin, o.quantMax);
    store(
      out,
      form === 'float'
        ? affine.dequantizeTinygemm(q, blocks, range, options)
        : affine.dequantizeBlocks(q, blocks, options),
    );
  });
}

const affineKernels = (): KernelEntry[] => [
  chooseKernel(chooseQparamsAffine, true),
  chooseKernel(chooseQparamsAffineDontPreserveZero, false),
  kernel(chooseQparamsAffineTinygemm, 'reference', ([scale, zero], input, _mapping, blockSize, target, o = {}) => {
    const range = checkedRange('choose_qparams_affine_tinygemm', target, o.quantMin, o.quantMax);
    const { min, max } = blockRange(
      valuesOf(input),
      blocksOf('choose_qparams_affine_tinygemm', input.shape, blockSize),
    );
    const q = affine.chooseTinygemm(min, max, {
      ...range,
      eps: o.eps ?? input.dtype.smallestNormal,
      round: roundingOf(input.dtype),
    });
    put(scale, q.scale, input.dtype);
    put(zero, q.zeroPoint, input.dtype);
  }),
  kernel(chooseQparamsAffineWithMinMax, 'reference', ([scale, zero], min, max, mapping, target, o = {}) => {
    const range = checkedRange('choose_qparams_affine_with_min_max', target, o.quantMin, o.quantMax);
    const q = affine.chooseFromRange(floats(min), floats(max), {
      ...range,
      mapping,
      eps: o.eps ?? min.dtype.smallestNormal,
      round: roundingOf(min.dtype),
    });
    put(scale, q.scale, min.dtype);
    store(zero, q.zeroPoint);
  }),
  quantizeKernel(quantizeAffine, 'int'),
  quantizeKernel(quantizeAffineTinygemm, 'float'),
  quantizeKernel(quantizeAffineNoZeroPoint, 'none'),
  dequantizeKernel(dequantizeAffine, 'int'),
  dequantizeKernel(dequantizeAffineTinygemm, 'float'),
  dequantizeKernel(dequantizeAffineNoZeroPoint, 'none'),
];

const groupKernels = (): KernelEntry[] => [
  kernel(chooseQparamsAndQuantizeAffineHqq, 'reference', ([codes, scale, zero], x, nbits, groupSize, o = {}) => {
    const r = hqq(floats(x), groupSize, nbits);
    storeRaw(codes, r.codes);
    store(scale, r.scale);
    const mid = 2 ** (nbits - 1);
    store(zero, o.rawOutput === true ? r.zero : r.zero.map((z, i) => Math.fround(mid - z) * (r.scale[i] as number)));
  }),
  kernel(chooseQparamsAndQuantizeScaleOnlyHqq, 'reference', ([codes, scale], x, groupSize, range) => {
    const r = hqqScaleOnly(floats(x), groupSize, range);
    storeRaw(codes, r.codes);
    store(scale, r.scale);
  }),
  kernel(kMeans, 'reference', ([codebook, codes], x, bits) => {
    const [groups, n] = x.shape as [number, number];
    const values = floats(x);
    const books = new Float32Array(codebook.numel);
    const found = new Uint8Array(codes.numel);
    for (let g = 0; g < groups; g++) {
      const mine = values.subarray(g * n, (g + 1) * n);
      const book = lloyd(mine, bits);
      books.set(book, g * 2 ** bits);
      found.set(codesOf(mine, book), g * n);
    }
    store(codebook, books);
    storeRaw(codes, found);
  }),
  kernel(quantizeInt4, 'reference', ([qdata, scale, zero], x, groupSize) => {
    const r = int4Row(valuesOf(x), groupSize);
    const [groups, n] = scale.shape as [number, number];
    const flip = (values: Float32Array): Float32Array =>
      values.map((_, i) => values[(i % n) * groups + Math.floor(i / n)] as number);
    storeRaw(qdata, packNibbles(r.codes));
    store(scale, flip(r.scale));
    store(zero, flip(r.zero));
  }),
  kernel(packInt4, 'reference', (out, codes) => storeRaw(out, packNibbles(valuesOf(codes)))),
  kernel(unpackInt4, 'reference', (out, packed) => storeRaw(out, unpackNibbles(valuesOf(packed)))),
  kernel(packBits, 'reference', (out, codes, bits) =>
    storeRaw(out, packRows(valuesOf(codes), codes.shape[codes.ndim - 1] ?? 1, bits)),
  ),
  kernel(unpackBits, 'reference', (out, packed, bits, columns, isSigned) =>
    storeRaw(out, unpackRows(valuesOf(packed), columns, bits, isSigned)),
  ),
  kernel(intMm, 'reference', (out, a, b) => {
    const [x, w] = [valuesOf(a), valuesOf(b)];
    const [m, k] = a.shape as [number, number];
    const n = b.shape[0] as number;
    const sums = new Int32Array(m * n);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let total = 0;
        for (let c = 0; c < k; c++) total += (x[i * k + c] as number) * (w[j * k + c] as number);
        sums[i * n + j] = total;
      }
    }
    storeRaw(out, sums);
  }),
];

const entries: readonly KernelEntry[] = /*@__PURE__*/ Object.freeze([
  .../*@__PURE__*/ affineKernels(),
  .../*@__PURE__*/ groupKernels(),
]);

export const quantKernels = (): readonly KernelEntry[] => entries;
