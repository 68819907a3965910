// Scaling columns of weights: W -> W s, and the inverse into what comes before: a norm's weight, or the rows of a linear.
import {
  AoError,
  cast,
  type Dense,
  dequantize,
  float32,
  getModule,
  type Module,
  packWeight,
  replaceTensor,
  scope,
  type Tensor,
  tensor,
  unpackedOf,
} from '@ao/core';
import type { Fold } from './structure.ts';

/** Float values of a weight, packed or not. */
export async function valuesOfWeight(t: Tensor): Promise<Float32Array> {
  const dense = scope(() => cast(dequantize(unpackedOf(t)), float32));
  const values = Float32Array.from(await dense.data());
  if (dense !== t) dense.dispose();
  return values;
}

/** Puts values in the place of a tensor, in its shape, dtype and device, packed where it was; returns the new tensor. */
export function replaceValues(model: Module, old: Tensor, values: Float32Array): Dense {
  const { shape, dtype, device } = old;
  const made = tensor(old.rt, values, { shape, dtype, device });
  const packed = old.packed !== null;
  replaceTensor(model, old, made);
  if (packed) packWeight(made.rt, made);
  return made;
}

/** A parameter of a module by its name. */
export function parameterOf(model: Module, module: string, name: string): Tensor | undefined {
  return (getModule(model, module) as unknown as Record<string, Tensor | undefined>)[name];
}

export function weightOfModule(model: Module, module: string): Tensor {
  const found = parameterOf(model, module, 'weight');
  if (found !== undefined) return found;
  throw new AoError('ERR_AO_CONFIG', `the structure names ${module}, which has no weight`, {
    module,
    fix: 'correct the structure that was given',
  });
}

/** True where everything that a fold changes is floating point still. */
export function canFold(model: Module, fold: Fold): boolean {
  const names = [
    ...fold.readers,
    ...(fold.norm === undefined ? [] : [fold.norm]),
    ...(fold.linear ? [fold.linear] : []),
  ];
  return names.every((name) => weightOfModule(model, name).kind === null);
}

/** Divides what the readers of `fold` read by s, a scale for each column. */
export async function foldInverse(model: Module, fold: Fold, s: Float64Array): Promise<void> {
  if (fold.norm !== undefined) {
    const { offset = 0 } = getModule(model, fold.norm) as { offset?: number };
    for (const [name, shift] of [
      ['weight', offset],
      ['bias', 0],
    ] as const) {
      const t = parameterOf(model, fold.norm, name);
      if (t === undefined) continue;
      const values = await valuesOfWeight(t);
      replaceValues(
        model,
        t,
        values.map((v, c) => (v + shift) / (s[c] as number) - shift),
      );
    }
    return;
  }
  const { linear = '', row = (c: number) => c } = fold;
  const scales = new Map<number, number>();
  for (let c = 0; c < s.length; c++) scales.set(row(c), s[c] as number);
  for (const name of ['weight', 'bias']) {
    const t = parameterOf(model, linear, name);
    if (t === undefined) continue;
    const values = await valuesOfWeight(t);
    const width = name === 'weight' ? (t.shape[1] as number) : 1;
    for (const [r, scale] of scales) {
      for (let i = r * width; i < (r + 1) * width; i++) values[i] = (values[i] as number) / scale;
    }
    replaceValues(model, t, values);
  }
}

/** W s: each column c of t times s[c]. */
export async function scaleColumns(model: Module, t: Tensor, s: Float64Array): Promise<Dense> {
  const values = await valuesOfWeight(t);
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * (s[i % s.length] as number);
  return replaceValues(model, t, values);
}
