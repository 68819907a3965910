// clipGradNorm_ where ranks have parts of parameters: the norm is that of all gradients, of which sharded ones are sums over ranks.
import { AoError, add, scope, sqrt, type Tensor } from '@ao/core';
import { clipByNorm_, noGrad, sumOfSquares } from '@ao/core/autograd';
import { allReduce_ } from './ops/collectives.ts';
import type { ProcessGroup } from './process-group.ts';
import { isShard } from './sharded/fully-shard.ts';

/**
 * Scales all gradients by min(1, maxNorm / (norm + 1e-6)) and returns the norm before, float32 [1], equal on all ranks. For `train`:
 * clipGradNorm: (parameters, maxNorm) => clipGradNorm_(parameters, maxNorm, group).
 */
export function clipGradNorm_(parameters: Iterable<Tensor>, maxNorm: number, group: ProcessGroup): Tensor {
  const trained = [...parameters].filter((p) => p.grad !== null);
  if (trained.length === 0)
    throw new AoError('ERR_AO_CONFIG', 'no parameter has a gradient', {
      op: 'clipGradNorm_',
      fix: 'call backward first',
    });
  const gradsOf = (shards: boolean): Tensor[] => trained.filter((p) => isShard(p) === shards).map((p) => p.grad!);
  return noGrad(() =>
    scope(() => {
      const [own, whole] = [gradsOf(true), gradsOf(false)];
      const sums = [
        ...(own.length > 0 ? [allReduce_(sumOfSquares(own), group)] : []),
        ...(whole.length > 0 ? [sumOfSquares(whole)] : []),
      ];
      const norm = sqrt(sums.reduce((a, b) => add(a, b)));
      for (const p of trained) clipByNorm_(p.grad!, norm, maxNorm);
      return norm;
    }),
  );
}
