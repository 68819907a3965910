// Derivatives of a decoder's ops: norms, gates, rotary positions, attention, embeddings and cross entropy.
import type { VjpEntry } from '../../extension.ts';
import { attention, rope } from '../../ops/attention.ts';
import { embedding, gather } from '../../ops/embedding.ts';
import { layerNorm, rmsNorm, siluMul } from '../../ops/norm.ts';
import { negativeLogLikelihood } from '../../ops/softmax.ts';
import { neg } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor.ts';
import { siluMulBackward } from '../ops/activation-grad.ts';
import { attentionBackward, attentionWithLse } from '../ops/attention-grad.ts';
import { dropout, dropoutBackward } from '../ops/dropout.ts';
import { embeddingGradWeight, gatherBackward } from '../ops/indexing-grad.ts';
import { linearCrossEntropyBackward, linearCrossEntropyOp } from '../ops/linear-cross-entropy.ts';
import { layerNormBackward, rmsNormBackward } from '../ops/norm-grad.ts';
import { crossEntropyBackward } from '../ops/softmax-grad.ts';
import { vjp } from '../vjp.ts';

export const decoderRules = (): VjpEntry[] => [
  vjp(rmsNorm, ({ needs, save }, _, x, w, eps, offset) => {
    const [input, weight] = [save(x), save(w)];
    return (g) => {
      const [dx, dw] = rmsNormBackward(g, input(), weight(), eps, offset, [needs(0), needs(1)]);
      return [needs(0) ? dx : null, needs(1) ? dw : null];
    };
  }),
  vjp(layerNorm, ({ needs, save }, _, x, w, _bias, eps) => {
    const [input, weight] = [save(x), save(w)];
    return (g) => {
      const of = [needs(0), needs(1), needs(2)] as const;
      return layerNormBackward(g, input(), weight(), eps, of).map((t, i) => (of[i] ? t : null));
    };
  }),
  vjp(siluMul, ({ save }, _, gate, up) => {
    const [x, y] = [save(gate), save(up)];
    return (g) => siluMulBackward(g, x(), y());
  }),
  vjp(rope, ({ save }, _, _x, cos, sin, positions) => {
    const [c, s, at] = [save(cos), save(sin), save(positions)];
    return (g) => [rope(g, c(), neg(s()), at())];
  }),
  vjp(
    attention,
    ({ save, besides }, out, q, k, v, pos, mask, options) => {
      const saved = [q, k, v, out, besides[0]!].map((t) => save(t));
      const [at, bias] = [save(pos), save(mask)];
      return (g) => {
        const [qs, ks, vs, y, lse] = saved.map((read) => read()) as [Tensor, Tensor, Tensor, Tensor, Tensor];
        return attentionBackward(g, qs, ks, vs, y, lse, at(), bias(), options);
      };
    },
    attentionWithLse,
  ),
  vjp(negativeLogLikelihood, ({ save }, _, logits, targets, ignoreIndex) => {
    const [x, t] = [save(logits), save(targets)];
    return (g) => [crossEntropyBackward(g, x(), t(), ignoreIndex)];
  }),
  vjp(linearCrossEntropyOp, ({ needs, save }, _, x, [w], targets, ignoreIndex) => {
    const [input, weight, t] = [save(x), save(w), save(targets)];
    return (g) => {
      const of = [needs(0), needs(1)] as const;
      const [dx, dw] = linearCrossEntropyBackward(g, input(), [weight()], t(), ignoreIndex, of);
      return [of[0] ? dx : null, [of[1] ? dw : null]];
    };
  }),
  vjp(embedding, ({ save }, _, weight, indices) => {
    const ids = save(indices);
    return (g) => [embeddingGradWeight(g, ids(), weight.shape[0]!)];
  }),
  vjp(gather, ({ save }, _, x, dim, index) => {
    const at = save(index);
    return (g) => [gatherBackward(g, dim, at(), x.shape)];
  }),
  vjp(dropout, ({ save }, [, drawn], _x, p) => {
    const saved = save(drawn);
    return ([g]) => [dropoutBackward(g, p, saved())];
  }),
];
