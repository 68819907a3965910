// fused_adam_ on the reference backend, one rounding to float32 an operation; formulas in core's ops/optim/fused-adam.ts.
import { type Dense, fusedAdamOp, type KernelEntry, kernel, rawOf, store, storeRaw, valuesOf } from '@ao/core';
import { type Codes, decodeBlocks, encodeBlocks } from '../state/codes.ts';
import { roundAtRandom } from './round-at-random.ts';

const f32 = Math.fround;

interface Moment {
  read(): Float32Array;
  write(values: Float32Array): void;
}

function moment(codes: Dense, scale: Dense | undefined, qmap: Dense | undefined): Moment {
  if (scale === undefined) return { read: () => Float32Array.from(valuesOf(codes)), write: (x) => store(codes, x) };
  // uint8 codes without their map are no moment: meta refused them
  const map = codes.dtype.category === 'int' ? valuesOf(qmap!) : undefined;
  const blocks = (x: Float32Array): Codes => encodeBlocks(x, x.length / scale.numel, map);
  return {
    read: () => decodeBlocks({ codes: rawOf(codes) as Uint8Array, scale: valuesOf(scale) as Float32Array }, map),
    write(x) {
      const made = blocks(x);
      storeRaw(codes, made.codes);
      store(scale, made.scale);
    },
  };
}

/** self + w (end - self), from the nearer end, as torch's lerp. */
const lerp = (self: number, end: number, w: number): number =>
  w < 0.5 ? f32(self + f32(w * f32(end - self))) : f32(end - f32(f32(end - self) * f32(1 - w)));

export const fusedAdamReference = (): KernelEntry[] => [
  kernel(
    fusedAdamOp,
    'reference',
    (param, _, grad, m, v, max, mScale, vScale, maxScale, signed, unsigned, step, lr, rng, o) => {
      const t = valuesOf(step)[0]! + 1;
      const rate = valuesOf(lr)[0]!;
      const decay = f32(o.decoupled ? rate * o.weightDecay : o.weightDecay);
      const [w1, w2, eps] = [f32(1 - o.beta1), f32(1 - o.beta2), f32(o.eps)];
      const stepSize = f32(rate / (1 - o.beta1 ** t));
      const root = f32(Math.sqrt(1 - o.beta2 ** t));
      const moments = [
        moment(m, mScale as Dense, signed as Dense),
        moment(v, vScale as Dense, unsigned as Dense),
      ] as const;
      const most = max && moment(max as Dense, maxScale as Dense, unsigned as Dense);
      const p = Float32Array.from(valuesOf(param));
      const g = valuesOf(grad);
      const [first, second] = [moments[0].read(), moments[1].read()];
      const largest = most?.read();
      for (let i = 0; i < p.length; i++) {
        let x = p[i]!;
        let d = g[i]!;
        if (o.decoupled) x = f32(x - f32(decay * x));
        else d = f32(d + f32(decay * x));
        first[i] = lerp(first[i]!, d, w1);
        second[i] = lerp(second[i]!, f32(d * d), w2);
        if (largest) largest[i] = Math.max(largest[i]!, second[i]!);
        const size = f32(f32(f32(Math.sqrt((largest ?? second)[i]!)) / root) + eps);
        p[i] = f32(x - f32(f32(stepSize * first[i]!) / size));
      }
      moments[0].write(first);
      moments[1].write(second);
      if (largest) most?.write(largest);
      if (rng === undefined) store(param, p);
      else {
        const [seed, call] = valuesOf(rng as Dense) as Int32Array;
        storeRaw(param, roundAtRandom(p, seed!, call!));
        store(rng as Dense, [seed!, call! + 1]);
      }
      store(step, [t]);
    },
  ),
];
