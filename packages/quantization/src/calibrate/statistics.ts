// What calibration keeps of the inputs x of a weight, over all rows of all batches: per column the smallest and largest value
// and the sum of magnitudes, and where it is asked for the Gram matrix x^T x (GPTQ's Hessian is 2 / rows times it).
import {
  AoError,
  abs,
  add,
  amax,
  amin,
  cast,
  type Dense,
  float32,
  keep,
  matmul,
  maximum,
  minimum,
  mul,
  reshape,
  scope,
  sum,
  type Tensor,
  tensor,
  transpose,
} from '@ao/core';
import type { Seen } from '../observe/observed-tensor.ts';

/** Statistics as they were read; vectors have a value for each of the K columns. */
export interface ObservedInput {
  /** Rows that counted. 0: the weight met no data. */
  readonly rows: number;
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly meanAbs: Float64Array;
  /** Sum of x^T x, float32 [K, K] on the weight's device; null where no algorithm needs it. */
  readonly gram: Dense | null;
}

const PARTS = ['low', 'high', 'magnitude', 'gram'] as const;
type Sums = Partial<Record<(typeof PARTS)[number], Tensor>>;

export class Statistics {
  readonly #gram: boolean;
  #sums: Sums = {};
  #rows = 0;
  #counted: Tensor | undefined;

  constructor(gram: boolean) {
    this.#gram = gram;
  }

  update({ x, rows }: Seen): void {
    const next = scope(() => {
      const values = cast(reshape(x, [-1, x.shape[x.ndim - 1] as number]), float32);
      const { low, high, magnitude, gram } = this.#sums;
      const add_ = (a: Tensor | undefined, b: Tensor): Tensor => (a === undefined ? b : add(a, b));
      const [least, most] = [amin(values, 0), amax(values, 0)];
      return {
        low: low === undefined ? least : minimum(low, least),
        high: high === undefined ? most : maximum(high, most),
        magnitude: add_(magnitude, sum(abs(values), 0)),
        ...(this.#gram && { gram: add_(gram, matmul(transpose(values, 0, 1), values)) }),
        ...(rows !== undefined && { counted: add_(this.#counted, cast(rows, float32)) }),
      };
    });
    const { counted, ...sums } = next as Sums & { counted?: Tensor };
    this.dispose();
    for (const t of Object.values(next)) keep(t as Tensor).guard();
    this.#sums = sums;
    this.#counted = counted;
    if (rows === undefined) this.#rows += x.numel / (x.shape[x.ndim - 1] as number);
  }

  /** Reads what was gathered; throws ERR_AO_CONFIG naming `fqn` where the inputs hold NaN or infinity. */
  async read(fqn: string): Promise<ObservedInput> {
    const { low, high, magnitude, gram } = this.#sums;
    const vector = async (t: Tensor | undefined): Promise<Float64Array> => Float64Array.from((await t?.data()) ?? []);
    const rows = this.#counted === undefined ? this.#rows : await this.#counted.item();
    const total = await vector(magnitude);
    const broken = total.findIndex((v) => !Number.isFinite(v));
    if (broken >= 0) {
      throw new AoError('ERR_AO_CONFIG', `the input of ${fqn} holds NaN or infinity in column ${broken}`, {
        op: 'calibrate',
        module: fqn.replace(/\.[^.]+$/, ''),
        tensor: fqn,
        fix: 'run the model in float32, and check its weights and the calibration data for NaN',
      });
    }
    return {
      rows,
      low: await vector(low),
      high: await vector(high),
      meanAbs: total.map((v) => v / Math.max(rows, 1)),
      gram: (gram as Dense | undefined) ?? null,
    };
  }

  dispose(): void {
    for (const t of Object.values(this.#sums)) t?.dispose();
    this.#counted?.dispose();
    this.#sums = {};
    this.#counted = undefined;
  }
}

/** The statistics of x / s, for a scale s of each column. */
export function divided(input: ObservedInput, s: Float64Array): ObservedInput {
  const each = (v: Float64Array): Float64Array => v.map((x, c) => x / (s[c] as number));
  const { rows, low, high, meanAbs, gram } = input;
  const scaledGram = (g: Dense): Dense =>
    scope(() => {
      const r = tensor(
        g.rt,
        Float32Array.from(s, (v) => 1 / v),
        { device: g.device },
      );
      return keep(mul(mul(g, r), reshape(r, [-1, 1])));
    }) as Dense;
  return { rows, low: each(low), high: each(high), meanAbs: each(meanAbs), gram: gram && scaledGram(gram) };
}
