// y = x W^T + b where a scheme says how the three products of training run:
//   y = output(x, W) + b;  g_x = gradInput(g, W);  g_W = gradWeight(g, x);  g_b = sum of g over rows
// Forward keeps x and W as they are; backward casts them anew.
import { AoError, add, cast, defineOp, type Entry, reshape, scope, sum, type Tensor } from '@ao/core';
import { vjp } from '@ao/core/autograd';

/** Matrices in, matrices out: x [M, K] and g [M, N] in the input's dtype, w [N, K] in its own. */
export interface TrainingScheme {
  output(x: Tensor, w: Tensor): Tensor;
  gradInput(g: Tensor, w: Tensor): Tensor;
  gradWeight(g: Tensor, x: Tensor): Tensor;
  /** The weight is read by float8_scale and float8_codes of all of it alone, so that ranks may exchange codes in its place. */
  readonly readsCodes?: boolean;
  /** Throws where a step of M rows could not run. */
  requireRows?(rows: number): void;
}

const matrix = (t: Tensor): Tensor => reshape(t, [-1, t.shape[t.ndim - 1]!]);

function requireOperands(x: Tensor, w: Tensor, b: Tensor | undefined): void {
  const op = 'training_linear';
  for (const [name, t] of [
    ['x', x],
    ['the weight', w],
  ] as const) {
    if (t.dtype.category === 'float' && t.dtype.bits > 8) continue;
    throw new AoError('ERR_AO_DTYPE', `${name} is ${t.dtype.name}[${t.shape}]`, {
      op,
      fix: 'train in float32, bfloat16 or float16',
    });
  }
  if (x.ndim < 1 || w.ndim !== 2 || x.shape[x.ndim - 1] !== w.shape[1]) {
    throw new AoError('ERR_AO_SHAPE', `x [${x.shape}] does not fit the weight [${w.shape}]`, {
      op,
      fix: 'the last size of x is the in_features of the weight',
    });
  }
  if (b !== undefined && (b.ndim !== 1 || b.shape[0] !== w.shape[0])) {
    throw new AoError('ERR_AO_SHAPE', `the bias has shape [${b.shape}]`, { op, fix: `give it [${w.shape[0]}]` });
  }
}

/** x [..., K], w [N, K], b [N] -> [..., N] in x's dtype; the weight's may differ (autocast). */
export const trainingLinear = /*@__PURE__*/ defineOp<
  [x: Tensor, w: Tensor, b: Tensor | undefined, scheme: TrainingScheme]
>('training_linear', {
  meta(x, w, b) {
    requireOperands(x, w, b);
    return { shape: [...x.shape.slice(0, -1), w.shape[0]!], dtype: x.dtype };
  },
  decompose: (x, w, b, scheme) =>
    scope(() => {
      const y = scheme.output(matrix(x), w);
      return reshape(b === undefined ? y : add(y, cast(b, y.dtype)), [...x.shape.slice(0, -1), w.shape[0]!]);
    }),
});

export const trainingLinearRule = (): Entry =>
  vjp(trainingLinear, ({ needs, save }, _, x, w, b, scheme) => {
    if (needs(1)) scheme.requireRows?.(x.numel / w.shape[1]!);
    const input = needs(1) ? save(x) : () => x;
    const weight = needs(0) ? save(w) : () => w;
    return (g) => [
      needs(0) ? reshape(scheme.gradInput(matrix(g), weight()), x.shape) : null,
      needs(1) ? cast(scheme.gradWeight(matrix(g), matrix(input())), w.dtype) : null,
      needs(2) && b !== undefined ? cast(sum(matrix(g), 0), b.dtype) : null,
      null,
    ];
  });
