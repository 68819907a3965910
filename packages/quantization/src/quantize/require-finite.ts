// NaN or infinity in a weight would spread over its whole block or row; quantize_ finds them before any work.
import { AoError, abs, amax, type Dense, keep, scope, type Tensor, unpackedOf } from '@ao/core';

/** Rejects with ERR_AO_FORMAT naming every weight that holds NaN or infinity. One pass over all of them. */
export async function requireFinite(weights: readonly (readonly [fqn: string, weight: Tensor])[]): Promise<void> {
  const float = weights.filter(([, w]) => w.kind === null && w.numel > 0);
  const peaks = float.map(([, w]) => keep(scope(() => amax(abs(unpackedOf(w) as Dense)))));
  const values = await Promise.all(peaks.map((peak) => peak.item()));
  for (const peak of peaks) peak.dispose();
  const bad = float.flatMap(([fqn], i) => (Number.isFinite(values[i]) ? [] : [fqn]));
  if (bad.length === 0) return;
  throw new AoError('ERR_AO_FORMAT', `NaN or infinity in ${bad.join(', ')}; nothing was changed`, {
    op: 'quantize_',
    tensor: bad[0] as string,
    fix: 'load the checkpoint again, or leave these weights out by a rule with null',
  });
}
