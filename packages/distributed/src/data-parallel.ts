// Data parallel: every rank has the whole model and a part of the data; gradients are averaged over ranks, several in one message.
import { cat, copy_, type Dense, isWrapped, type Module, numel, reshape, scope, slice, type Tensor } from '@ao/core';
import { type HookHandle, noGrad, queueCallback, registerPostAccumulateGradHook } from '@ao/core/autograd';
import { allReduce_, broadcast_ } from './ops/collectives.ts';
import type { ProcessGroup } from './process-group.ts';

export interface BucketOptions {
  /** Gradients that are averaged together, in bytes; 25 MiB. */
  readonly bucketBytes?: number;
}

const bytesOf = (t: Tensor): number => numel(t.shape) * t.dtype.itemsize;

/** Averages the gradients of leaves in place, those of one dtype in one message. */
function averageBucket(leaves: readonly Tensor[], group: ProcessGroup): void {
  const all = leaves.flatMap((p) => p.grad ?? []);
  scope(() => {
    for (const dtype of new Set(all.map((g) => g.dtype))) {
      const grads = all.filter((g) => g.dtype === dtype);
      const [first] = grads as Dense[];
      if (grads.length === 1 && first!.contiguous) {
        allReduce_(first!, group, 'avg');
        continue;
      }
      const flat = allReduce_(
        cat(
          grads.map((g) => reshape(g, [-1])),
          0,
        ),
        group,
        'avg',
      );
      let at = 0;
      for (const g of grads) {
        copy_(g, reshape(slice(flat, 0, at, at + g.numel), g.shape));
        at += g.numel;
      }
    }
  });
}

/**
 * From now on each backward averages these leaves' gradients over the group, as soon as a bucket of them is complete. Gradients that add up over
 * several backwards come out right too. Ranks have to use the same leaves in the same order.
 */
export function averageGradients(
  leaves: Iterable<Tensor>,
  group: ProcessGroup,
  options: BucketOptions = {},
): HookHandle {
  const { bucketBytes = 25 * 2 ** 20 } = options;
  const ready = new Set<Tensor>();
  let bytes = 0;
  let queued = false;
  const flush = (): void => {
    if (ready.size > 0) noGrad(() => averageBucket([...ready], group));
    ready.clear();
    bytes = 0;
  };
  const hooks = [...leaves].map((leaf) =>
    registerPostAccumulateGradHook(leaf, () => {
      if (!queued) {
        queued = true;
        queueCallback((completed) => {
          queued = false;
          if (completed) flush();
          ready.clear();
          bytes = 0;
        });
      }
      ready.add(leaf);
      bytes += bytesOf(leaf);
      if (bytes >= bucketBytes) flush();
    }),
  );
  return { remove: () => hooks.forEach((h) => h.remove()) };
}

function* leavesOf(t: Tensor): Generator<Dense> {
  if (isWrapped(t)) for (const part of Object.values(t.held)) yield* leavesOf(part);
  else if (t.packed === null) yield t as Dense;
}

/** The model's plain tensors become those of rank 0; packed weights stay as they are. */
export function broadcastParameters(model: Module, group: ProcessGroup): void {
  noGrad(() => {
    for (const [, t] of model.namedParameters()) for (const leaf of leavesOf(t)) broadcast_(leaf, group);
  });
}

/**
 * torch's replicate (DistributedDataParallel): parameters become those of rank 0, and each backward averages gradients over the group. The loss of
 * a rank is the mean over its own data.
 */
export function replicate(model: Module, group: ProcessGroup, options: BucketOptions = {}): HookHandle {
  broadcastParameters(model, group);
  const floats = [...model.namedParameters()]
    .flatMap(([, t]) => [...leavesOf(t)])
    .filter((t) => t.dtype.category === 'float' && t.dtype.bits >= 16);
  return averageGradients(new Set(floats), group, options);
}
