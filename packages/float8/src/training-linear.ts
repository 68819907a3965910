// y = x W^T + b where a scheme says how the three products of training run:
//   y = output(x, W) + b;  g_x = gradInput(g, W);  g_W = gradWeight(g, x);  g_b = sum of g over rows
// What the products of backward read of x and W is cast beside what output reads, once for all linears of one x.
import { AoError, add, cast, type DType, defineOp, type Entry, reshape, scope, sum, type Tensor } from '@ao/core';
import { isGradEnabled, noGrad, vjp } from '@ao/core/autograd';

/** What products read of a matrix: itself, or codes and scales. */
export type Operand = readonly Tensor[];
/** Of the two products that read a matrix, in their order; undefined where that one does not run. */
export type Operands = readonly [Operand | undefined, Operand | undefined];
export type Wanted = readonly [boolean, boolean];

/** Matrices in, matrices out: x [M, K] and g [M, N] in the input's dtype, w [N, K] in its own. */
export interface TrainingScheme {
  /** Of x, for output and gradWeight. */
  input(x: Tensor, wanted: Wanted): Operands;
  /** Of w, for output and gradInput; dtype is the input's. */
  weight(w: Tensor, wanted: Wanted, dtype: DType): Operands;
  /** Of g, for gradInput and gradWeight. */
  gradOutput(g: Tensor, wanted: Wanted): Operands;
  /** The products give the input's dtype. */
  output(x: Operand, w: Operand, dtype: DType): Tensor;
  gradInput(g: Operand, w: Operand, dtype: DType): Tensor;
  gradWeight(g: Operand, x: Operand, dtype: DType): Tensor;
  /** The weight is read by float8_scale and float8_codes of all of it alone, so that ranks may exchange codes in its place. */
  readonly readsCodes?: boolean;
  requireRows?(rows: number): void;
}

export interface Products {
  output(x: Tensor, w: Tensor): Tensor;
  gradInput(g: Tensor, w: Tensor): Tensor;
  gradWeight(g: Tensor, x: Tensor): Tensor;
  requireRows?(rows: number): void;
}

/** A scheme whose products take matrices as they are; backward casts them anew. */
export function schemeOf({ output, gradInput, gradWeight, ...rest }: Products): TrainingScheme {
  const itself = (t: Tensor, [first, second]: Wanted): Operands => [first ? [t] : undefined, second ? [t] : undefined];
  return {
    input: itself,
    weight: itself,
    gradOutput: itself,
    output: ([x], [w]) => output(x!, w!),
    gradInput: ([g], [w]) => gradInput(g!, w!),
    gradWeight: ([g], [x]) => gradWeight(g!, x!),
    ...rest,
  };
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

interface Casts {
  readonly schemes: readonly TrainingScheme[];
  /** Of x, for each linear; one where they share it. */
  readonly inputs: readonly Operands[];
  readonly weights: readonly Operands[];
}

/** x [..., K], ws [N, K], bs [N] -> [..., N] each in x's dtype, of operands that are cast; weights' dtypes may differ (autocast). */
const castLinears = /*@__PURE__*/ defineOp<
  [x: Tensor, ws: readonly Tensor[], bs: readonly (Tensor | undefined)[], casts: Casts],
  Tensor[]
>('training_linears', {
  meta: (x, ws) => ws.map((w) => ({ shape: [...x.shape.slice(0, -1), w.shape[0]!], dtype: x.dtype })),
  decompose: (x, ws, bs, { schemes, inputs, weights }) =>
    scope(() =>
      ws.map((w, i) => {
        const y = schemes[i]!.output((inputs[i] ?? inputs[0]!)[0]!, weights[i]![0]!, x.dtype);
        const b = bs[i];
        return reshape(b === undefined ? y : add(y, cast(b, y.dtype)), [...x.shape.slice(0, -1), w.shape[0]!]);
      }),
    ),
});

/** What products read in the place of a weight that is of a kind: for rules of that kind, which gradients flow through. */
const trainingWeight = /*@__PURE__*/ defineOp<[w: Tensor, readsCodes: boolean]>('training_weight', {
  meta: (w) => w,
  decompose: (w) => w,
});

/**
 * x [..., K], ws [N, K], bs [N] -> [..., N] each, in x's dtype. `shared`: the first scheme's casts of x serve all.
 */
export function trainingLinears(
  x: Tensor,
  given: readonly Tensor[],
  bs: readonly (Tensor | undefined)[],
  schemes: readonly TrainingScheme[],
  shared = false,
): Tensor[] {
  for (const [i, w] of given.entries()) requireOperands(x, w, bs[i]);
  const records = isGradEnabled();
  const own = shared ? schemes.slice(0, 1) : schemes;
  return scope(() => {
    const ws = given.map((w, i) => (w.kind === null ? w : trainingWeight(w, schemes[i]!.readsCodes === true)));
    const casts = noGrad(() => {
      const rows = matrix(x);
      const grad = records && ws.some((w) => w.requiresGrad);
      const inputs = own.map((s, i) => s.input(rows, [true, shared ? grad : records && ws[i]!.requiresGrad]));
      const weights = ws.map((w, i) => schemes[i]!.weight(w, [true, records && x.requiresGrad], x.dtype));
      return { schemes, inputs, weights };
    });
    return castLinears(x, ws, bs, casts);
  });
}

export const trainingLinear = (x: Tensor, w: Tensor, b: Tensor | undefined, scheme: TrainingScheme): Tensor =>
  trainingLinears(x, [w], [b], [scheme])[0]!;

export const trainingLinearRule = (): Entry =>
  vjp(castLinears, ({ needs, save }, _, x, ws, bs, { schemes, inputs, weights }) => {
    const kept = (o: Operand | undefined): (() => Operand) => {
      const saved = (o ?? []).map((t) => save(t));
      return () => saved.map((read) => read());
    };
    const rows = x.numel / x.shape[x.ndim - 1]!;
    for (const [i, s] of schemes.entries()) if (needs(1, i)) s.requireRows?.(rows);
    const input = inputs.map(([, o]) => kept(o));
    const weight = weights.map(([, o]) => kept(needs(0) ? o : undefined));
    return (gs) => {
      const gx: Tensor[] = [];
      const gw = gs.map((g, i) => {
        const [scheme, w] = [schemes[i]!, ws[i]!];
        const [forInput, forWeight] = scheme.gradOutput(matrix(g), [needs(0), needs(1, i)]);
        if (forInput !== undefined) gx.push(scheme.gradInput(forInput, weight[i]!(), g.dtype));
        if (forWeight === undefined) return null;
        return cast(scheme.gradWeight(forWeight, (input[i] ?? input[0]!)(), g.dtype), w.dtype);
      });
      const total = gx.length === 0 ? null : gx.reduce((a, b) => add(a, b));
      return [
        total && reshape(total, x.shape),
        gw,
        bs.map((b, i) => (b !== undefined && needs(2, i) ? cast(sum(matrix(gs[i]!), 0), b.dtype) : null)),
        null,
      ];
    };
  });
