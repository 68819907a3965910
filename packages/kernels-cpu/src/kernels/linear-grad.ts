// Gradients of linear: ops of @ao/core/autograd, known by their ids so that an app that trains nothing does not bundle them.
import { type Dense, type KernelEntry, kernel, type Tensor } from '@ao/core';
import type * as grad from '@ao/core/autograd';
import { actOf, packedOf } from './linear.ts';
import { bitsOf, codeOf, tableOf, zeroDomainOf } from './packer.ts';
import { address, addressOr, calls, dtypeOr, isFloat, rows } from './support.ts';
import { named } from './training.ts';

/** Up to this many weights in one call. */
const MAX_WEIGHTS = 4;
/** The code of a packed weight. */
const PACKED = -1;

type Term = [g: number, weight: number, n: number, code: number];
const NONE: Term = [0, 0, 0, 0];

function gradInput(out: Dense, gs: readonly Dense[], ws: readonly Tensor[]): void {
  const { rows: m, n: k } = rows(out);
  const t = (i: number): Term => {
    const [g, w] = [gs[i], ws[i]];
    if (g === undefined || w === undefined) return NONE;
    const weight = w.packed === null ? address(w as Dense) : address(packedOf(w).data);
    return [address(g), weight, w.shape[0]!, w.packed === null ? w.dtype.code : PACKED];
  };
  const { code } = out.dtype;
  calls(out).linear_grad_input(address(out), m, k, code, code, gs.length, ...t(0), ...t(1), ...t(2), ...t(3));
}

const one = /*@__PURE__*/ named<typeof grad.linearGradInput>('linear_grad_input');
const several = /*@__PURE__*/ named<typeof grad.linearsGradInput>('linears_grad_input');

/** Whether a packed weight meets its input as it is. */
const unscaled = (w: Tensor): boolean => actOf(packedOf(w)).inputScale === undefined;

export const linearGradKernels = (): KernelEntry[] => [
  kernel(one, 'cpu', (out, g, w) => gradInput(out, [g], [w]), {
    packed: true,
    name: 'linear_grad_input packed',
    when: (_, w) => unscaled(w),
  }),
  kernel(one, 'cpu', (out, g, w) => gradInput(out, [g], [w]), { when: (_, w) => isFloat(w.dtype) }),
  kernel(several, 'cpu', gradInput, {
    packed: true,
    name: 'linears_grad_input packed',
    when: (gs, ws) => gs.length <= MAX_WEIGHTS && ws.every(unscaled),
  }),
  kernel(several, 'cpu', gradInput, {
    when: (gs, ws) => gs.length <= MAX_WEIGHTS && ws.every((w) => isFloat(w.dtype)),
  }),
  kernel(
    named<typeof grad.linearGradInputWeight>('linear_grad_input_weight'),
    'cpu',
    (out, g, codes, scale, zero, f) => {
      const { rows: m, n } = rows(g);
      calls(out).linear_grad_input_coded(
        address(out),
        address(g),
        address(codes),
        addressOr(scale),
        addressOr(zero),
        m,
        n,
        f.K,
        g.dtype.code,
        out.dtype.code,
        codeOf(f),
        f.groupSize,
        zeroDomainOf(f),
        dtypeOr(scale),
        dtypeOr(zero),
        bitsOf(f),
        addressOr(tableOf(f, codes)),
      );
    },
  ),
  kernel(named<typeof grad.linearGradWeight>('linear_grad_weight'), 'cpu', (out, g, x) => {
    const { rows: m, n } = rows(g);
    const { n: k } = rows(x);
    const { code } = out.dtype;
    calls(out).linear_grad_weight(address(out), address(g), address(x), m, n, k, g.dtype.code, x.dtype.code, code);
  }),
];
