// Experts' linear layers on packed weights: 16 experts a call, each call looks for the rows that chose one of its own.
import * as ao from '@ao/core';
import { type KernelEntry, kernel } from '@ao/core';
import { actOf, packedOf } from './linear.ts';
import { address, calls } from './support.ts';

/** Weights in one call. */
const MOST = 16;

export const expertKernels = (): KernelEntry[] => [
  kernel(
    ao.linearExperts,
    'cpu',
    (out, x, ws, index) => {
      const [tokens, slots, n] = out.shape as [number, number, number];
      for (let first = 0; first < ws.length; first += MOST) {
        const some = ws.slice(first, first + MOST).map((w) => address(packedOf(w).data));
        const at = (i: number): number => some[i] ?? 0;
        calls(out).linear_experts(
          address(out),
          address(x),
          address(index),
          tokens * slots,
          x.shape[1] === 1 ? slots : 1,
          ws.length,
          n,
          x.shape[2]!,
          x.dtype.code,
          out.dtype.code,
          first,
          some.length,
          0,
          ...([at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)] as const),
          ...([at(8), at(9), at(10), at(11), at(12), at(13), at(14), at(15)] as const),
        );
      }
    },
    {
      packed: true,
      name: 'linear_experts',
      when: (_x, ws) =>
        ws.every((w) => packedOf(w).format.tokens === undefined && actOf(packedOf(w)).inputScale === undefined),
    },
  ),
];
