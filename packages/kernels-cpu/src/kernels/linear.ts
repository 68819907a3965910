// Linear layers: packed weights on linear_packed, plain ones on linear (which packs to scratch where they are coded), matmul.
import * as ao from '@ao/core';
import { AoError, type Dense, type KernelEntry, kernel, type PackedWeight, type Tensor } from '@ao/core';
import { activationOf, bitsOf, type CpuPackedWeight, codeOf, tableOf, tokenFlags, zeroDomainOf } from './packer.ts';
import { address, addressOr, broadcastStrides, calls, dtypeOr, isFloat, rows } from './support.ts';

interface Target {
  readonly w: PackedWeight;
  readonly bias: Dense | undefined;
  readonly out: Dense;
}

/** The activation mode's own smallest scale. */
const MODE_EPS = 0;
/** Up to this many weights in one call. */
const MAX_WEIGHTS = 4;

function linearPacked(input: Dense, targets: readonly Target[], residual?: Dense): void {
  const first = targets[0]!;
  const { inputScale } = actOf(first.w);
  const x = inputScale === undefined ? input : scaledBy(input, inputScale);
  const { rows: m, n: k } = rows(x);
  requireScales(first.w, m);
  const t = (i: number): [number, number, number, number, number] => {
    const target = targets[i];
    if (target === undefined) return [0, 0, 0, 0, 0];
    const n = target.w.format.N;
    return [address(target.w.data), addressOr(target.bias), address(target.out), n, n];
  };
  calls(x).linear_packed(
    address(x),
    m,
    k,
    k,
    x.dtype.code,
    first.out.dtype.code,
    dtypeOr(targets.find((s) => s.bias !== undefined)?.bias ?? x),
    MODE_EPS,
    addressOr(residual),
    first.w.format.N,
    targets.length,
    ...t(0),
    ...t(1),
    ...t(2),
    ...t(3),
    addressOr(actOf(first.w).actScale),
    addressOr(actOf(first.w).actZero),
    tokenFlags(first.w.format),
  );
  if (x !== input) x.dispose();
}

/** Scales of rows, which were found beforehand, are of batches of one shape. */
function requireScales(w: PackedWeight, m: number): void {
  const given = actOf(w).actScale?.numel ?? m;
  if (w.format.tokens?.rowScales !== true || given === m) return;
  throw new AoError('ERR_AO_SHAPE', `static scales of ${given} rows met an activation of ${m}`, {
    op: 'linear',
    fix: `give ${given} rows, or quantize with one scale: granularity: [perTensor(), perRow()]`,
  });
}

const scaledBy = (x: Dense, scale: Dense): Dense => ao.scope(() => ao.cast(ao.mul(x, scale), x.dtype) as Dense);

export const actOf = (w: PackedWeight): CpuPackedWeight => w as CpuPackedWeight;

export function packedOf(w: Tensor): PackedWeight {
  if (w.packed !== null) return w.packed;
  throw new AoError('ERR_AO_KERNEL', 'the weight is not packed', { op: 'linear', fix: 'call prepare(model)' });
}

/** Weights that one call can share x with. */
function together(ws: readonly Tensor[]): boolean {
  const a = packedOf(ws[0]!).format;
  return (
    ws.length <= MAX_WEIGHTS &&
    ws.every((w) => {
      const b = packedOf(w).format;
      return (
        b.activation === a.activation &&
        tokenFlags(b) === tokenFlags(a) &&
        actOf(packedOf(w)).actScale === actOf(packedOf(ws[0]!)).actScale &&
        actOf(packedOf(w)).inputScale === actOf(packedOf(ws[0]!)).inputScale &&
        (a.activation === 'exact' ||
          (b.code === a.code && b.twoOfFour === a.twoOfFour && b.bits === a.bits && b.groupSize === a.groupSize))
      );
    })
  );
}

export const linearKernels = (): KernelEntry[] => [
  kernel(ao.linear, 'cpu', (out, x, w, bias) => linearPacked(x, [{ w: packedOf(w), bias, out }]), {
    packed: true,
    name: 'linear_packed',
  }),
  kernel(
    ao.linears,
    'cpu',
    (outs, x, ws, bs) =>
      linearPacked(
        x,
        ws.map((w, i) => ({ w: packedOf(w), bias: bs?.[i], out: outs[i]! })),
      ),
    {
      packed: true,
      name: 'linear_packed',
      when: (_x, ws) => together(ws),
    },
  ),
  kernel(
    ao.linearAdd,
    'cpu',
    (out, x, w, bias, residual) => linearPacked(x, [{ w: packedOf(w), bias, out }], residual),
    {
      packed: true,
      name: 'linear_packed',
    },
  ),
  kernel(
    ao.embedding,
    'cpu',
    (out, w, indices) => {
      const { data, format } = packedOf(w);
      calls(out).gather_packed(
        address(out),
        address(data),
        address(indices),
        indices.numel,
        format.N,
        format.K,
        format.K,
        out.dtype.code,
      );
    },
    { packed: true, name: 'gather_packed', when: (w) => packedOf(w).format.twoOfFour !== true },
  ),
  kernel(
    ao.linear,
    'cpu',
    (out, x, w, bias) => {
      const { rows: m, n: k } = rows(x);
      const n = w.shape[0]!;
      calls(out).linear(
        address(out),
        address(x),
        address(w),
        0,
        0,
        addressOr(bias),
        0,
        m,
        n,
        k,
        k,
        n,
        0,
        x.dtype.code,
        out.dtype.code,
        dtypeOr(bias),
        w.dtype.code,
        k,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
      );
    },
    { when: (x) => isFloat(x.dtype) },
  ),
  kernel(ao.linearWeight, 'cpu', (out, x, codes, scale, zero, bias, f) => {
    const { rows: m, n: k } = rows(x);
    calls(out).linear(
      address(out),
      address(x),
      address(codes),
      addressOr(scale),
      addressOr(zero),
      addressOr(bias),
      0,
      m,
      f.N,
      k,
      k,
      f.N,
      0,
      x.dtype.code,
      out.dtype.code,
      dtypeOr(bias),
      codeOf(f),
      f.groupSize,
      zeroDomainOf(f),
      dtypeOr(scale),
      dtypeOr(zero),
      activationOf(f),
      MODE_EPS,
      bitsOf(f),
      addressOr(tableOf(f, codes)),
    );
  }),
  kernel(
    ao.matmul,
    'cpu',
    (out, a, b) => {
      const batch = out.shape.slice(0, -2);
      const [m, n] = out.shape.slice(-2) as [number, number];
      const k = a.shape[a.ndim - 1]!;
      if (batch.length > 4) {
        throw new AoError('ERR_AO_KERNEL', `${batch.length} batch dimensions; the cpu takes 4`, {
          op: 'matmul',
          fix: 'reshape',
        });
      }
      const of = (t: Dense, last: readonly number[]): number[] => broadcastStrides(t, [...batch, ...last]);
      const as = of(a, [m, k]);
      const bs = of(b, [k, n]);
      calls(out).matmul(
        address(out),
        address(a),
        address(b),
        m,
        n,
        k,
        a.dtype.code,
        out.dtype.code,
        as.at(-2)!,
        as.at(-1)!,
        bs.at(-2)!,
        bs.at(-1)!,
        n,
        batch.length,
        batch,
        as.slice(0, -2),
        bs.slice(0, -2),
        out.strides.slice(0, -2),
      );
    },
    { strided: true },
  ),
];
