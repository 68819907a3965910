// Gradients, what they go through in place, dropout and initial values: ops of @ao/core/autograd, known by their ids so that an app that
// trains nothing does not bundle them.
import * as ao from '@ao/core';
import { type Dense, isTensor, type KernelEntry, kernel } from '@ao/core';
import type * as grad from '@ao/core/autograd';
import { sdpa } from './attention.ts';
import { attentionBackward } from './attention-backward.ts';
import { address, around, calls, rows } from './support.ts';

/** An op that @ao/core/autograd declares. */
export const named = <O extends { readonly id: string }>(id: string): O => ({ id }) as O;

/** 0 where an output is not needed. */
const addressIf = (needed: boolean | undefined, t: Dense): number => (needed === false ? 0 : address(t));

/** Runs fn on out's memory in order: out itself, or a copy that goes back. */
function inOrder(out: Dense, fn: (t: Dense) => void): void {
  if (out.contiguous) {
    fn(out);
    return;
  }
  ao.scope(() => {
    const copy = ao.contiguous(out) as Dense;
    fn(copy);
    ao.copy_(out, copy);
  });
}

/** Codes of the activation_backward kernel. */
const ACTIVATIONS = ['silu_backward', 'gelu_backward', 'gelu_tanh_backward'];

const gradients = (): KernelEntry[] => [
  kernel(
    named<typeof grad.rmsNormBackward>('rms_norm_backward'),
    'cpu',
    ([dx, dw], g, x, w, eps, offset = 0, needs) => {
      const { rows: count, n } = rows(x);
      const outs = [addressIf(needs?.[0], dx), addressIf(needs?.[1], dw)] as const;
      calls(x).rms_norm_backward(...outs, address(g), address(x), address(w), count, n, x.dtype.code, eps, offset);
    },
  ),
  kernel(named<typeof grad.layerNormBackward>('layer_norm_backward'), 'cpu', ([dx, dw, db], g, x, w, eps, needs) => {
    const { rows: count, n } = rows(x);
    const outs = [addressIf(needs?.[0], dx), addressIf(needs?.[1], dw), addressIf(needs?.[2], db)] as const;
    calls(x).layer_norm_backward(...outs, address(g), address(x), address(w), count, n, x.dtype.code, eps);
  }),
  ...ACTIVATIONS.map((id, code) =>
    kernel(named<typeof grad.siluBackward>(id), 'cpu', (dx, g, x) =>
      calls(x).activation_backward(address(dx), address(g), address(x), x.numel, x.dtype.code, code),
    ),
  ),
  kernel(named<typeof grad.siluMulBackward>('silu_mul_backward'), 'cpu', ([dgate, dup], g, gate, up) =>
    calls(g).silu_mul_backward(
      address(dgate),
      address(dup),
      address(g),
      address(gate),
      address(up),
      g.numel,
      g.dtype.code,
    ),
  ),
  ...['softmax_backward', 'log_softmax_backward'].map((id, log) =>
    kernel(named<typeof grad.softmaxBackward>(id), 'cpu', (dx, g, y) => {
      const { rows: count, n } = rows(y);
      calls(y).softmax_backward(address(dx), address(g), address(y), count, n, y.dtype.code, log);
    }),
  ),
  kernel(
    named<typeof grad.crossEntropyBackward>('cross_entropy_backward'),
    'cpu',
    (dx, g, logits, targets, ignoreIndex) => {
      const [count, vocab] = logits.shape as [number, number];
      const from = [address(g), address(logits), address(targets)] as const;
      calls(dx).cross_entropy_backward(address(dx), ...from, count, vocab, logits.dtype.code, ignoreIndex);
    },
  ),
  kernel(named<typeof grad.embeddingGradWeight>('embedding_grad_weight'), 'cpu', (dw, g, indices, vocab) =>
    calls(dw).embedding_backward(
      address(dw),
      address(g),
      address(indices),
      indices.numel,
      vocab,
      dw.shape[1]!,
      dw.dtype.code,
    ),
  ),
  kernel(named<typeof grad.gatherBackward>('gather_backward'), 'cpu', (dx, g, dim, index, shape) => {
    const d = dim < 0 ? dim + g.ndim : dim;
    const within = around(g, d);
    const whole = around(dx, d);
    // dimensions on either side join where dx is as large as g there
    const joined = within.outer === whole.outer && within.inner === whole.inner;
    const [from, to, at] = joined
      ? [[within.outer, within.n, within.inner], [whole.outer, whole.n, whole.inner], 1]
      : [g.shape, shape, d];
    calls(dx).gather_backward(
      address(dx),
      address(g),
      address(index),
      from.length,
      [...from],
      [...to],
      at,
      dx.dtype.code,
    );
  }),
  kernel(
    named<typeof grad.attentionWithLse>('attention_with_lse'),
    'cpu',
    ([out, lse], ...args) => sdpa(out, lse, ...args),
    {
      strided: true,
    },
  ),
  kernel(named<typeof grad.attentionBackward>('attention_backward'), 'cpu', attentionBackward, { strided: true }),
];

const inPlace = (): KernelEntry[] => [
  kernel(named<typeof grad.add_>('add_'), 'cpu', (out, _, x) =>
    ao.scope(() => {
      const same = ao.cast(x, out.dtype) as Dense;
      inOrder(out, (to) =>
        calls(to).binary(address(to), address(to), address(same), 1, [to.numel], [1], [1], to.dtype.code, 0, 0, 0),
      );
    }),
  ),
  kernel(named<typeof grad.mul_>('mul_'), 'cpu', (out, _, x) =>
    inOrder(out, (to) => {
      const [factor, value] = isTensor(x) ? [address(x as Dense), 0] : [0, x];
      calls(to).scale(address(to), factor, to.numel, to.dtype.code, value, 0);
    }),
  ),
  kernel(named<typeof grad.clipByNorm_>('clip_by_norm_'), 'cpu', (out, _, norm, maxNorm) =>
    inOrder(out, (to) => calls(to).scale(address(to), address(norm), to.numel, to.dtype.code, maxNorm, 1)),
  ),
  kernel(named<typeof grad.sumOfSquares>('sum_of_squares'), 'cpu', (out, tensors) =>
    ao.scope(() => {
      const total = ao.empty(out.rt, [1], { dtype: ao.int64, device: out.device }); // holds a double
      for (const [i, t] of tensors.entries()) {
        const first = i === 0 ? 1 : 0;
        calls(out).sum_of_squares(address(out), address(total), address(t), t.numel, t.dtype.code, first);
      }
    }),
  ),
];

const random = (): KernelEntry[] => [
  kernel(named<typeof grad.dropout>('dropout'), 'cpu', ([y, saved], x, p, state) =>
    calls(x).dropout(address(y), address(saved), address(state), address(x), x.numel, x.dtype.code, p),
  ),
  kernel(named<typeof grad.dropoutBackward>('dropout_backward'), 'cpu', (dx, g, p, saved) =>
    calls(g).dropout_backward(address(dx), address(g), address(saved), g.numel, g.dtype.code, p),
  ),
  kernel(named<typeof grad.uniform_>('uniform_'), 'cpu', (out, _, low, high, state) =>
    inOrder(out, (to) => calls(to).random_uniform(address(to), address(state), to.numel, to.dtype.code, low, high)),
  ),
  kernel(named<typeof grad.normalOp>('normal_'), 'cpu', (out, _, mean, std, part, state) =>
    inOrder(out, (to) =>
      calls(to).random_normal(
        address(to),
        address(state),
        to.numel,
        to.dtype.code,
        mean,
        std,
        part.low,
        part.high,
        part.least,
        part.most,
      ),
    ),
  ),
];

export const trainingKernels = (): KernelEntry[] => [...gradients(), ...inPlace(), ...random()];
