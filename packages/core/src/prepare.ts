// Packing frozen weights, one at a time: the packed layout takes the place of the plain bytes, which are freed at once.
import { isWrapped } from './kind.ts';
import type { Module } from './nn/module.ts';
import type { WeightFormat, WeightParts } from './packed.ts';
import type { Runtime } from './runtime.ts';
import { scope } from './scope.ts';
import type { Dense, Tensor } from './tensor.ts';

function denseParts(w: Dense): WeightParts | null {
  const code = w.dtype.name;
  if (w.ndim !== 2 || (code !== 'float32' && code !== 'bfloat16' && code !== 'float16')) return null;
  const [N, K] = w.shape as [number, number];
  const format: WeightFormat = { code, N, K, groupSize: K, zeroDomain: 'none', activation: 'exact' };
  return { format, codes: w };
}

/** Packs one weight in place, or the weights that it is made of; false where that is done, it trains, or its device has no layout for it. */
export function packWeight(rt: Runtime, w: Tensor): boolean {
  const packer = rt.packer(w.device);
  if (packer === undefined || w.packed !== null || w.requiresGrad) return false;
  if (isWrapped(w) && w.kind.spec.weight === undefined) {
    const inner = Object.values(w.held).filter(isWrapped);
    return inner.map((part) => packWeight(rt, part)).includes(true);
  }
  return scope(() => {
    const parts = isWrapped(w) ? (w.kind.spec.weight?.(w as never) ?? null) : denseParts(w as Dense);
    const packed = parts === null ? null : packer.pack(parts, w.dtype);
    if (packed === null) return false;
    packed.data.kept = true;
    w.packed = packed;
    if (isWrapped(w)) w.releaseParts(w.kind.spec.packs ?? []);
    else (w as Dense).releaseBytes();
    return true;
  });
}

/**
 * Packs the weights that a model's modules declare packable. Called by load, quantize_ and generate; calling it again
 * costs nothing. Peak memory: the model and one weight twice.
 */
export async function prepare(model: Module): Promise<void> {
  for (const w of model.packable()) {
    if (!packWeight(w.rt, w)) continue;
    const backend = w.rt.backend(w.device);
    await backend.sync();
    backend.trim();
  }
}
