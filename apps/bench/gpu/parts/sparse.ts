// Magnitude pruning and compression of a weight to 2:4, one kernel: bytes are x once, the values and the places of those that stay.
import * as ao from '@ao/core';
import { normal_ } from '@ao/core/autograd';
import { sparse24Compress } from '@ao/sparsity';
import { type Part, timePlan } from '../part.ts';

const [N, K] = [4096, 14336];
const WEIGHTS = 4;

export const sparseWeights: Part = {
  name: 'sparse',
  async run(rt, say) {
    const state = ao.tensor(rt, [1, 0], { dtype: ao.int32 });
    const weights = Array.from(
      { length: WEIGHTS },
      () => normal_(ao.empty(rt, [N, K], { dtype: ao.bfloat16 }), 0, 0.02, state) as ao.Dense,
    );
    const value = await timePlan(
      rt,
      weights.map((w) => () => sparse24Compress(w)[0]),
    );
    say({
      name: `prune and compress bfloat16 [${N}, ${K}]`,
      unit: 'us',
      value,
      bytes: 2 * N * K + N * K + (N * K) / 8,
    });
    for (const t of [state, ...weights]) t.dispose();
  },
};
