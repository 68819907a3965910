// Samples of the fused steps, for conformance: every form of state, dtype and option, in sizes that leave tails and that two
// threads share.
import { bfloat16, type DType, float8_e4m3fn, float16, float32, fusedAdamOp, fusedSgd_, int32, uint8 } from '@ao/core';
import { type Make, type OpSamples, samples } from '@ao/core/samples';
import { qmapOf } from '../src/index.ts';

interface AdamCase {
  readonly shape: readonly number[];
  readonly dtype?: DType;
  readonly form?: '8bit' | '4bit' | 'fp8';
  readonly blockSize?: number;
  readonly amsgrad?: boolean;
  readonly random?: boolean;
  readonly step?: number;
  readonly options?: Record<string, unknown>;
}

const OPTIONS = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, decoupled: true };

function adamArgs(make: Make, c: AdamCase): unknown[] {
  const { shape, dtype = float32, form, blockSize = 256 } = c;
  const n = shape.reduce((a, b) => a * b, 1);
  const codes = (): unknown =>
    form === 'fp8'
      ? make(shape, { dtype: float8_e4m3fn, fill: 'uniform', low: 0, high: 400 })
      : form === undefined
        ? make(shape, { dtype, fill: 'uniform', low: 0, high: 1e-2 })
        : make(form === '4bit' ? [n / 2] : shape, { dtype: uint8, fill: 'integer', low: 0, high: 256 });
  const scale = (): unknown =>
    form === undefined ? undefined : make([n / blockSize], { fill: 'uniform', low: 1e-6, high: 1e-3 });
  const map = (signed: boolean): unknown => {
    if (form !== '8bit' && form !== '4bit') return undefined;
    const values = [...qmapOf(form === '8bit' ? 8 : 4, signed)];
    return make([values.length], { fill: values });
  };
  return [
    make(shape, { dtype }),
    make(shape, { dtype }),
    codes(),
    codes(),
    c.amsgrad ? codes() : undefined,
    scale(),
    scale(),
    c.amsgrad ? scale() : undefined,
    map(true),
    map(false),
    make([], { fill: [c.step ?? 3] }),
    make([1], { fill: [0.01] }),
    c.random ? make([2], { dtype: int32, fill: [5, 9] }) : undefined,
    { ...OPTIONS, ...c.options },
  ];
}

const adam: Readonly<Record<string, AdamCase>> = {
  'floats, an odd number': { shape: [7, 37] },
  'floats, first step, not decoupled': { shape: [64], step: 0, options: { decoupled: false } },
  'floats shared by threads': { shape: [5, 8003] },
  'bfloat16 with amsgrad': { shape: [1031], dtype: bfloat16, amsgrad: true },
  'float16, betas of 0': { shape: [100], dtype: float16, options: { beta1: 0, beta2: 0.3 } },
  'bfloat16 rounded at random': { shape: [3, 1001], dtype: bfloat16, random: true },
  '8 bits shared by threads': { shape: [160, 256], form: '8bit' },
  '8 bits, amsgrad, not decoupled': { shape: [4096], form: '8bit', amsgrad: true, options: { decoupled: false } },
  '8 bits, blocks of 50': { shape: [50, 3], form: '8bit', blockSize: 50 },
  '8 bits, bfloat16 rounded at random': { shape: [4096], form: '8bit', dtype: bfloat16, random: true },
  '4 bits': { shape: [64, 128], form: '4bit', blockSize: 128 },
  '4 bits, bfloat16, amsgrad, blocks of 10': {
    shape: [60],
    form: '4bit',
    blockSize: 10,
    dtype: bfloat16,
    amsgrad: true,
  },
  fp8: { shape: [64, 128], form: 'fp8' },
  'fp8, blocks of 33, amsgrad': { shape: [99], form: 'fp8', blockSize: 33, amsgrad: true },
};

const sgd = {
  plain: { momentum: 0 },
  'weight decay': { momentum: 0, weightDecay: 0.1 },
  'momentum and dampening': { momentum: 0.9, dampening: 0.2 },
  'nesterov, weight decay': { momentum: 0.8, nesterov: true, weightDecay: 0.01 },
} as const;

export const optimSamples = (): OpSamples[] => [
  samples(
    fusedAdamOp,
    Object.entries(adam).map(([name, c]) => ({
      name,
      refusesStrided: true as const,
      args: (make) => adamArgs(make, c),
    })),
  ),
  samples(
    fusedSgd_,
    Object.entries(sgd).flatMap(([name, options]) =>
      [float32, bfloat16].flatMap((dtype) =>
        [0, 2].map((step) => ({
          name: `${name}, ${dtype.name}, step ${step}`,
          refusesStrided: true as const,
          args: (make: Make) => [
            make([9, 2111], { dtype }),
            make([9, 2111], { dtype }),
            options.momentum > 0 ? make([9, 2111], { dtype, ...(step === 0 ? { fill: [0] } : {}) }) : undefined,
            make([], { fill: [step] }),
            make([], { fill: [0.02] }),
            { dampening: 0, weightDecay: 0, nesterov: false, ...options },
          ],
        })),
      ),
    ),
  ),
];
