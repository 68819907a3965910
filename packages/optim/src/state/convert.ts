// One moment in the form of another: floats to codes by blocks, codes to floats. The rounding of floats to codes runs on the host.
import { AoError, type Dense, dequantize, fromBits, isWrapped, reshape, type Tensor, type Wrapped } from '@ao/core';
import { encodeBlocks } from './codes.ts';
import type { OptimStateAttrs } from './state-kinds.ts';

const same = (a: Wrapped, b: Wrapped): boolean => {
  const [x, y] = [a.attrs as OptimStateAttrs, b.attrs as OptimStateAttrs];
  return a.kind === b.kind && x.blockSize === y.blockSize && x.signed === y.signed;
};

/** `source` (on the target's device) as the target keeps it: itself, or a new tensor. */
export async function asForm(target: Tensor, source: Tensor, name: string): Promise<Tensor> {
  if (!isWrapped(target)) return isWrapped(source) ? dequantize(source) : source;
  if (isWrapped(source) && same(target, source)) return source;
  const { codes, scale, qmap } = target.parts as Readonly<Record<'codes' | 'scale', Dense> & { qmap?: Dense }>;
  const { blockSize, signed } = target.attrs as OptimStateAttrs;
  const values = await source.data();
  if (!signed && values.some((x) => x < 0))
    throw new AoError('ERR_AO_FORMAT', `${name} holds values below 0, a second moment has none`, {
      tensor: name,
      fix: 'load the state of an Adam',
    });
  const made = encodeBlocks(values, blockSize, qmap && (await qmap.data()));
  const { rt, device } = target;
  const parts = {
    codes: fromBits(rt, made.codes, codes.shape, codes.dtype, { device }),
    scale: fromBits(rt, made.scale, scale.shape, scale.dtype, { device }),
    ...(qmap === undefined ? {} : { qmap: reshape(qmap, [-1]) }),
  };
  const kind = target.kind as unknown as { make(...args: unknown[]): Tensor };
  return kind.make(parts, target.attrs, target.shape, target.dtype);
}
