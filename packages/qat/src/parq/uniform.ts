// PARQ's evenly spaced values. With m = min(bits |p|.mean, |p|.max), or |p|.max, e = 2^(bits-1) - intShift and s = m / e:
//   q = (round(clamp(p, -m, m) / s - zeroPoint) + zeroPoint) s,   values -e s, (-e + 1) s, ..., e s
import { abs, add, amax, clamp, div, maximum, mean, minimum, mul, neg, round, sub, type Tensor } from '@ao/core';
import { configError } from '../config/fake-quantize.ts';
import { centred, type Quantized, type Quantizer, range, row } from './quantizer.ts';

export interface UnifOptions {
  /** Subtracts each row's mean first; false. */
  readonly center?: boolean;
  readonly scaleMethod?: 'mean' | 'max';
  readonly intShift?: number;
  readonly zeroPoint?: number;
}

const SMALLEST = 2 ** -126;

function largest(p: Tensor, bits: number, method: 'mean' | 'max'): Tensor {
  const size = abs(p);
  const most = amax(size, 1, true);
  return maximum(method === 'max' ? most : minimum(mul(mean(size, 1, true), bits), most), SMALLEST);
}

/** Symmetric around 0 without it: 2^bits values, for 2 bits -1.5, -0.5, 0.5 and 1.5 times s. */
export class UnifQuantizer implements Quantizer {
  readonly #options: Required<UnifOptions>;

  constructor({ center = false, scaleMethod = 'mean', intShift = 0.5, zeroPoint = 0.5 }: UnifOptions = {}) {
    this.#options = { center, scaleMethod, intShift, zeroPoint };
  }

  levelCount(bits: number): number {
    if (bits < 1) throw configError(`${bits} bits have no even values`, 'use TernaryUnifQuantizer for quantBits: 0');
    return Math.floor(2 ** bits - 2 * this.#options.intShift) + 1;
  }

  quantize(p: Tensor, bits: number): Quantized {
    const { center, scaleMethod, intShift, zeroPoint } = this.#options;
    return centred(p, center, (x) => {
      const most = largest(x, bits, scaleMethod);
      const end = 2 ** (bits - 1) - intShift;
      const s = div(most, end);
      const held = minimum(maximum(x, neg(most)), most);
      const q = mul(add(round(sub(div(held, s), zeroPoint)), zeroPoint), s);
      return { q, levels: mul(row(p, range(-end, end)), s) };
    });
  }
}

/** 2^bits - 1 values around 0, the outermost at |p|.max. */
export class MaxUnifQuantizer extends UnifQuantizer {
  constructor(options: UnifOptions = {}) {
    super({ scaleMethod: 'max', intShift: 1, zeroPoint: 0, ...options });
  }
}

/** torchao's name of the values of UnifQuantizer whose codes are stored shifted by a half. */
export class StretchedUnifTorchaoQuantizer extends UnifQuantizer {
  constructor({ intShift = 0.5 }: Pick<UnifOptions, 'intShift'> = {}) {
    super({ intShift });
  }
}

/** -s, 0 and s with s = |p|.max / 1.5. */
export class TernaryUnifQuantizer implements Quantizer {
  readonly #center: boolean;

  constructor({ center = false }: { readonly center?: boolean } = {}) {
    this.#center = center;
  }

  levelCount(bits: number): number {
    if (bits !== 0) throw configError(`${bits} bits are not ternary`, 'give the group quantBits: 0');
    return 3;
  }

  quantize(p: Tensor, bits: number): Quantized {
    return centred(p, this.#center, (x) => {
      const s = div(largest(x, bits, 'max'), 1.5);
      return { q: mul(clamp(round(div(x, s)), -1, 1), s), levels: mul(row(p, [-1, 0, 1]), s) };
    });
  }
}
