// Derivatives of elementwise functions. At kinks the subgradients are torch's.
import type { VjpEntry } from '../../extension.ts';
import type { Op } from '../../op.ts';
import * as ao from '../../ops/binary.ts';
import { cast } from '../../ops/copy.ts';
import * as u from '../../ops/unary.ts';
import { isTensor, type Tensor } from '../../tensor.ts';
import { geluBackward, geluTanhBackward, siluBackward } from '../ops/activation-grad.ts';
import { unbroadcast } from '../unbroadcast.ts';
import { vjp } from '../vjp.ts';

const { add, sub, mul, div, where } = ao;
type Unary = Op<[x: Tensor], Tensor>;

/** f' from x. */
const ofInput = (op: Unary, f: (g: Tensor, x: Tensor) => Tensor): VjpEntry =>
  vjp(op, ({ save }, _, x) => {
    const saved = save(x);
    return (g) => [cast(f(g, saved()), x.dtype)];
  });

/** f' from y = f(x). */
const ofOutput = (op: Unary, f: (g: Tensor, y: Tensor) => Tensor): VjpEntry =>
  vjp(op, ({ save }, y) => {
    const saved = save(y);
    return (g) => [f(g, saved())];
  });

/** Steps: no gradient anywhere. */
const flat = (op: Unary): VjpEntry => vjp(op, () => (g) => [mul(g, 0)]);

const unary = (): VjpEntry[] => [
  vjp(u.neg, () => (g) => [u.neg(g)]),
  ofInput(u.abs, (g, x) => mul(g, u.sign(x))),
  ofInput(u.relu, (g, x) => where(ao.gt(x, 0), g, 0)),
  ...[u.sign, u.round, u.floor, u.ceil].map(flat),
  ofOutput(u.exp, (g, y) => mul(g, y)),
  ofInput(u.log, (g, x) => div(g, x)),
  ofOutput(u.sqrt, (g, y) => div(mul(g, 0.5), y)),
  ofOutput(u.rsqrt, (g, y) => mul(mul(g, -0.5), mul(y, mul(y, y)))),
  ofOutput(u.reciprocal, (g, y) => u.neg(mul(g, mul(y, y)))),
  ofInput(u.sin, (g, x) => mul(g, u.cos(x))),
  ofInput(u.cos, (g, x) => u.neg(mul(g, u.sin(x)))),
  ofOutput(u.tanh, (g, y) => mul(g, sub(1, mul(y, y)))),
  ofInput(u.erf, (g, x) => mul(g, mul(2 / Math.sqrt(Math.PI), u.exp(u.neg(mul(x, x)))))),
  ofOutput(u.sigmoid, (g, y) => mul(g, mul(y, sub(1, y)))),
  ofInput(u.silu, siluBackward),
  ofInput(u.gelu, geluBackward),
  ofInput(u.geluTanh, geluTanhBackward),
  vjp(u.clamp, ({ save }, _, x, low, high) => {
    const saved = save(x);
    return (g) => [where(ao.ge(saved(), low), where(ao.le(saved(), high), g, 0), 0), null, null];
  }),
];

type Binary = typeof add;

/** Gradients of two broadcast operands, each from g and the operands that `reads` names of it; what no wanted one reads is not kept. */
const binary = (
  op: Binary,
  byA: (g: Tensor, a: ao.Operand, b: ao.Operand) => Tensor,
  byB: (g: Tensor, a: ao.Operand, b: ao.Operand) => Tensor,
  reads: readonly [byA: string, byB: string],
): VjpEntry =>
  vjp(op, ({ needs, save }, _, a, b) => {
    const keep = (name: string, x: ao.Operand): (() => ao.Operand) =>
      isTensor(x) && reads.some((names, i) => needs(i) && names.includes(name)) ? save(x) : () => x;
    const [x, y] = [keep('a', a), keep('b', b)];
    return (g) => [
      needs(0) ? unbroadcast(byA(g, x(), y()), a as Tensor) : null,
      needs(1) ? unbroadcast(byB(g, x(), y()), b as Tensor) : null,
    ];
  });

/** The larger (or smaller) takes the gradient; equals share it. */
const extreme = (op: Binary, wins: Binary): VjpEntry => {
  const share = (g: Tensor, a: ao.Operand, b: ao.Operand): Tensor =>
    where(ao.eq(a, b), mul(g, 0.5), where(wins(a, b), g, 0));
  return binary(op, share, (g, a, b) => share(g, b, a), ['ab', 'ab']);
};

export const elementwiseRules = (): VjpEntry[] => [
  ...unary(),
  binary(
    add,
    (g) => g,
    (g) => g,
    ['', ''],
  ),
  binary(
    sub,
    (g) => g,
    (g) => u.neg(g),
    ['', ''],
  ),
  binary(
    mul,
    (g, _, b) => mul(g, b),
    (g, a) => mul(g, a),
    ['b', 'a'],
  ),
  binary(
    div as Binary,
    (g, _, b) => div(g, b),
    (g, a, b) => u.neg(div(mul(g, a), mul(b, b))),
    ['b', 'ab'],
  ),
  extreme(ao.maximum, ao.gt),
  extreme(ao.minimum, ao.lt),
  binary(
    ao.pow,
    (g, a, b) => mul(g, mul(b, ao.pow(a, isTensor(b) ? sub(b, 1) : b - 1))),
    (g, a, b) => where(ao.gt(a, 0), mul(g, mul(ao.pow(a, b), u.log(a as Tensor))), 0),
    ['ab', 'ab'],
  ),
  vjp(where, ({ needs, save }, _, cond, a, b) => {
    const c = save(cond);
    return (g) => [
      null,
      needs(1) ? unbroadcast(where(c(), g, 0), a as Tensor) : null,
      needs(2) ? unbroadcast(where(c(), 0, g), b as Tensor) : null,
    ];
  }),
];
