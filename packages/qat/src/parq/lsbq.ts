// Least-squares binary quantization, the greedy way (torchao's default): bits times v = |r|.mean, r = r - v sign(r) from r = p on, q = p - r;
// values are all sums of +-v. Ternary: -v, 0 and v with v = ternaryMultiplier |p|.mean.
import { abs, add, castTo, cat, float32, ge, gt, le, mean, mul, neg, reshape, sub, type Tensor, topk } from '@ao/core';
import { configError } from '../config/fake-quantize.ts';
import { centred, type Quantized, type Quantizer, row } from './quantizer.ts';

export interface LSBOptions {
  /** Subtracts each row's mean first; false. */
  readonly center?: boolean;
  /** 1.1. */
  readonly ternaryMultiplier?: number;
}

/** 1 where x >= 0, else -1. */
const signOf = (x: Tensor): Tensor => sub(mul(castTo(ge(x, 0), float32), 2), 1);

const ascending = (x: Tensor): Tensor => neg(topk(neg(x), x.shape[1]!)[0]);

export class LSBQuantizer implements Quantizer {
  readonly #center: boolean;
  readonly #multiplier: number;

  constructor({ center = false, ternaryMultiplier = 1.1 }: LSBOptions = {}) {
    this.#center = center;
    this.#multiplier = ternaryMultiplier;
  }

  levelCount(bits: number): number {
    if (bits > 8) throw configError(`${bits} bits of sums are ${2 ** bits} values`, 'give at most 8 bits');
    return bits === 0 ? 3 : 2 ** bits;
  }

  quantize(p: Tensor, bits: number): Quantized {
    return centred(p, this.#center, (x) => (bits === 0 ? this.#ternary(x) : greedy(x, bits)));
  }

  #ternary(x: Tensor): Quantized {
    const v = mul(mean(abs(x), 1, true), this.#multiplier);
    const half = mul(v, 0.5);
    const code = sub(castTo(gt(x, half), float32), castTo(le(x, neg(half)), float32));
    return { q: mul(code, v), levels: mul(row(x, [-1, 0, 1]), v) };
  }
}

function greedy(x: Tensor, bits: number): Quantized {
  const rows = x.shape[0]!;
  let rest = x;
  let levels: Tensor | undefined;
  for (let i = 0; i < bits; i++) {
    const v = mean(abs(rest), 1, true);
    rest = sub(rest, mul(signOf(rest), v));
    const both = cat([neg(v), v], 1);
    levels =
      levels === undefined
        ? both
        : reshape(add(reshape(levels, [rows, -1, 1]), reshape(both, [rows, 1, 2])), [rows, -1]);
  }
  return { q: sub(x, rest), levels: ascending(levels!) };
}
