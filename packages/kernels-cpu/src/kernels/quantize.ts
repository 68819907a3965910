// Quantization primitives on the native kernels: blocks that are runs of memory; other blocks decompose.
import * as ao from '@ao/core';
import { type ChooseQParamsOptions, type Dense, type KernelEntry, kernel, type MappingName } from '@ao/core';
import { address, addressOr, calls, dtypeOr, isFloat } from './support.ts';
import { named } from './training.ts';

const MAPPINGS: readonly MappingName[] = ['SYMMETRIC', 'SYMMETRIC_NO_CLIPPING_ERR', 'ASYMMETRIC'];
const TINYGEMM = 3;
const ZERO_DOMAINS = { none: 0, int: 1, float: 2 } as const;

/** Zero points of the affine forms are integers there; floats decompose. */
const fits = (domain: keyof typeof ZERO_DOMAINS, zero: Dense | null): boolean =>
  domain !== 'int' || zero === null || zero.dtype.category === 'int';

const inRuns = (x: Dense, blockSize: readonly number[]): boolean => ao.blockRun(x.shape, blockSize) > 0;

function chooseKernel(op: typeof ao.chooseQparamsAffine, form: 'affine' | 'true-range' | 'tinygemm'): KernelEntry {
  return kernel(
    op,
    'cpu',
    ([scale, zero], x, mapping, blockSize, target, o: ChooseQParamsOptions = {}) => {
      const { quantMin, quantMax } = ao.checkedRange(op.id, target, o.quantMin, o.quantMax);
      const n = ao.blockRun(x.shape, blockSize);
      calls(x).choose_qparams_affine(
        address(scale),
        address(zero),
        address(x),
        x.numel / n,
        n,
        x.dtype.code,
        scale.dtype.code,
        zero.dtype.code,
        form === 'tinygemm' ? TINYGEMM : MAPPINGS.indexOf(mapping),
        form === 'affine' ? 1 : 0,
        quantMin,
        quantMax,
        o.eps ?? x.dtype.smallestNormal,
      );
    },
    { when: (x, _mapping, blockSize) => isFloat(x.dtype) && inRuns(x, blockSize) },
  );
}

function quantizeKernel(op: typeof ao.quantizeAffine, domain: keyof typeof ZERO_DOMAINS): KernelEntry {
  return kernel(
    op,
    'cpu',
    (q, x, blockSize, scale, zero, dtype, o = {}) => {
      const { quantMin, quantMax } = ao.checkedRange(op.id, dtype, o.quantMin, o.quantMax);
      const n = ao.blockRun(x.shape, blockSize);
      const z = (zero ?? undefined) as Dense | undefined;
      calls(x).quantize_affine(
        address(q),
        address(x),
        address(scale),
        addressOr(z),
        x.numel / n,
        n,
        x.dtype.code,
        scale.dtype.code,
        dtypeOr(z),
        q.dtype.code,
        ZERO_DOMAINS[domain],
        quantMin,
        quantMax,
      );
    },
    {
      when: (x, blockSize, _scale, zero) =>
        isFloat(x.dtype) && inRuns(x, blockSize) && fits(domain, zero as Dense | null),
    },
  );
}

function dequantizeKernel(op: typeof ao.dequantizeAffine, domain: keyof typeof ZERO_DOMAINS): KernelEntry {
  return kernel(
    op,
    'cpu',
    (out, q, blockSize, scale, zero, dtype, o = {}) => {
      const { quantMin, quantMax } = ao.checkedRange(op.id, dtype, o.quantMin, o.quantMax);
      const n = ao.blockRun(q.shape, blockSize);
      const z = (zero ?? undefined) as Dense | undefined;
      calls(q).dequantize_affine(
        address(out),
        address(q),
        address(scale),
        addressOr(z),
        q.numel / n,
        n,
        out.dtype.code,
        scale.dtype.code,
        dtypeOr(z),
        q.dtype.code,
        ZERO_DOMAINS[domain],
        quantMin,
        quantMax,
      );
    },
    {
      when: (q, blockSize, _scale, zero) =>
        (q.dtype === ao.int8 || q.dtype === ao.uint8) && inRuns(q, blockSize) && fits(domain, zero as Dense | null),
    },
  );
}

function fakeQuantize(out: Dense, x: Dense, grad: Dense | undefined, o: ao.FakeGroups): void {
  const n = o.groupSize || x.shape[x.ndim - 1]!;
  calls(out).fake_quantize(
    address(out),
    address(x),
    addressOr(grad),
    x.numel / n,
    n,
    x.dtype.code,
    (o.scaleDtype ?? x.dtype).code,
    MAPPINGS.indexOf(o.mapping),
    o.quantMin,
    o.quantMax,
    o.eps ?? x.dtype.smallestNormal,
  );
}

/** By their ids, so that an app that trains nothing does not bundle them. */
const fakeInt4 = /*@__PURE__*/ named<typeof ao.fakeQuantizeInt4>('fake_quantize_int4');
const fakeInt4Grad = /*@__PURE__*/ named<typeof ao.fakeQuantizeInt4Grad>('fake_quantize_int4_grad');

function fakeQuantizeInt4(out: Dense, x: Dense, grad: Dense | undefined, n: number): void {
  calls(out).fake_quantize_int4(address(out), address(x), addressOr(grad), x.numel / n, n, x.dtype.code);
}

export const quantizeKernels = (): KernelEntry[] => [
  chooseKernel(ao.chooseQparamsAffine, 'affine'),
  chooseKernel(ao.chooseQparamsAffineDontPreserveZero, 'true-range'),
  chooseKernel(ao.chooseQparamsAffineTinygemm, 'tinygemm'),
  quantizeKernel(ao.quantizeAffine, 'int'),
  quantizeKernel(ao.quantizeAffineNoZeroPoint, 'none'),
  quantizeKernel(ao.quantizeAffineTinygemm, 'float'),
  dequantizeKernel(ao.dequantizeAffine, 'int'),
  dequantizeKernel(ao.dequantizeAffineNoZeroPoint, 'none'),
  dequantizeKernel(ao.dequantizeAffineTinygemm, 'float'),
  kernel(ao.fakeQuantizeGroups, 'cpu', (out, x, o) => fakeQuantize(out, x, undefined, o), {
    when: (x) => isFloat(x.dtype),
  }),
  kernel(ao.fakeQuantizeGroupsGrad, 'cpu', (out, g, x, o) => fakeQuantize(out, x, g, o), {
    when: (g) => isFloat(g.dtype),
  }),
  kernel(fakeInt4, 'cpu', (out, x, n) => fakeQuantizeInt4(out, x, undefined, n), { when: (x) => isFloat(x.dtype) }),
  kernel(fakeInt4Grad, 'cpu', (out, g, x, n) => fakeQuantizeInt4(out, x, g, n), { when: (g) => isFloat(g.dtype) }),
  kernel(ao.quantizeInt4, 'cpu', ([qdata, scale, zero], x, groupSize) => {
    const [rows, columns] = x.shape as [number, number];
    calls(x).quantize_int4(
      address(qdata),
      address(scale),
      address(zero),
      address(x),
      rows,
      columns,
      groupSize,
      x.dtype.code,
      scale.dtype.code,
    );
  }),
  kernel(ao.packInt4, 'cpu', (out, codes) => calls(codes).pack_int4(address(out), address(codes), codes.numel)),
  kernel(ao.unpackInt4, 'cpu', (out, packed) => calls(packed).unpack_int4(address(out), address(packed), out.numel, 1)),
  kernel(ao.packBits, 'cpu', (out, codes, bits) => {
    const columns = codes.shape[codes.ndim - 1] ?? 1;
    calls(codes).pack_bits(address(out), address(codes), codes.numel / columns, columns, bits);
  }),
  kernel(ao.unpackBits, 'cpu', (out, packed, bits, columns, isSigned) =>
    calls(packed).unpack_bits(address(out), address(packed), out.numel / columns, columns, bits, Number(isSigned)),
  ),
];
