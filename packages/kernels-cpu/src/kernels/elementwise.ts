// Elementwise ops on the unary, clamp, binary and where kernels.
import * as ao from '@ao/core';
import { cast, type Dense, isTensor, type KernelEntry, kernel, promoteTypes } from '@ao/core';
import { address, broadcastStrides, calls, collapse, type Strided } from './support.ts';

/** Codes of kernels/cpu/ops/elementwise.h. */
const UNARY = [
  ao.neg,
  ao.abs,
  ao.exp,
  ao.log,
  ao.sqrt,
  ao.rsqrt,
  ao.reciprocal,
  ao.sin,
  ao.cos,
  ao.tanh,
  ao.sigmoid,
  ao.silu,
  ao.gelu,
  ao.geluTanh,
  ao.relu,
  ao.round,
  ao.floor,
  ao.ceil,
  ao.sign,
  ao.erf,
];
const BINARY = [
  ao.add,
  ao.sub,
  ao.mul,
  ao.div,
  ao.maximum,
  ao.minimum,
  ao.pow,
  ao.eq,
  ao.ne,
  ao.lt,
  ao.le,
  ao.gt,
  ao.ge,
] as readonly (typeof ao.add)[];

/** The dtype a binary kernel computes in: the operands' common one. */
function computeType(out: Dense, a: Dense | number, b: Dense | number): ao.DType {
  if (out.dtype !== ao.bool) return out.dtype;
  const typed = [a, b].flatMap((x) => (isTensor(x) ? [x.dtype] : []));
  const common = typed.reduce((x, y) => promoteTypes(x, y));
  const numbers = [a, b].filter((x): x is number => typeof x === 'number');
  return common.category === 'float' || numbers.every(Number.isInteger) ? common : ao.float32;
}

function operand(x: Dense | number, dtype: ao.DType): Dense | number {
  return isTensor(x) ? (cast(x, dtype) as Dense) : x;
}

const fits = (x: Dense | number, dtype: ao.DType): boolean => typeof x === 'number' || x.dtype === dtype;

/** Lies in memory as a contiguous tensor of that shape does. */
function liesAs(x: Dense | number, shape: readonly number[]): boolean {
  if (typeof x === 'number') return true;
  if (x.shape.length !== shape.length || !x.contiguous) return false;
  for (let i = 0; i < shape.length; i++) if (x.shape[i] !== shape[i]) return false;
  return true;
}

const REPEATED = [0];
const IN_ORDER = [1];

function layout(op: string, out: Dense, x: Dense | number, y: Dense | number): Strided {
  const { shape } = out;
  if (liesAs(x, shape) && liesAs(y, shape)) {
    const strides = (t: Dense | number): number[] => (typeof t === 'number' ? REPEATED : IN_ORDER);
    return { shape: [out.numel], strides: [strides(x), strides(y)] };
  }
  const none = shape.map(() => 0);
  const strides = (t: Dense | number): number[] => (typeof t === 'number' ? none : broadcastStrides(t, shape));
  return collapse(op, shape, [strides(x), strides(y), out.strides]);
}

function enqueueBinary(
  code: number,
  op: string,
  out: Dense,
  x: Dense | number,
  y: Dense | number,
  dtype: ao.DType,
): void {
  const { shape, strides } = layout(op, out, x, y);
  calls(out).binary(
    address(out),
    typeof x === 'number' ? 0 : address(x),
    typeof y === 'number' ? 0 : address(y),
    shape.length,
    shape,
    strides[0]!,
    strides[1]!,
    dtype.code,
    code,
    typeof x === 'number' ? x : 0,
    typeof y === 'number' ? y : 0,
  );
}

function binary(code: number, op: string): (out: Dense, a: Dense | number, b: Dense | number) => void {
  return (out, a, b) => {
    const dtype = computeType(out, a, b);
    if (fits(a, dtype) && fits(b, dtype)) enqueueBinary(code, op, out, a, b, dtype);
    else ao.scope(() => enqueueBinary(code, op, out, operand(a, dtype), operand(b, dtype), dtype));
  };
}

export const elementwise = (): KernelEntry[] => [
  ...UNARY.map((op, code) =>
    kernel(op, 'cpu', (out, x) =>
      ao.scope(() => {
        const typed = cast(x, out.dtype) as Dense;
        calls(out).unary(address(out), address(typed), out.numel, out.dtype.code, code);
      }),
    ),
  ),
  kernel(ao.clamp, 'cpu', (out, x, low, high) =>
    calls(out).clamp(address(out), address(x), out.numel, out.dtype.code, low, high),
  ),
  ...BINARY.map((op, code) => kernel(op, 'cpu', binary(code, op.id), { strided: true })),
  kernel(
    ao.where,
    'cpu',
    (out, cond, a, b) =>
      ao.scope(() => {
        const x = operand(a, out.dtype);
        const y = operand(b, out.dtype);
        const none = out.shape.map(() => 0);
        const { shape, strides } = collapse('where', out.shape, [
          broadcastStrides(cond, out.shape),
          isTensor(x) ? broadcastStrides(x, out.shape) : none,
          isTensor(y) ? broadcastStrides(y, out.shape) : none,
          out.strides,
        ]);
        const [cs, xs, ys] = strides as [number[], number[], number[]];
        calls(out).where(
          address(out),
          address(cond),
          isTensor(x) ? address(x) : 0,
          isTensor(y) ? address(y) : 0,
          shape.length,
          shape,
          cs,
          xs,
          ys,
          out.dtype.code,
          isTensor(x) ? 0 : x,
          isTensor(y) ? 0 : y,
        );
      }),
    { strided: true },
  ),
];
