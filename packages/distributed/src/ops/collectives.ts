// Collectives as ops: in the order of the stream and recorded in plans. Every rank makes the same calls in the same order. Sums are float32 sums
// in the order of ranks on cpu (equal bits on all ranks), NCCL's on cuda.
import { AoError, type Dense, defineOp, type Meta, rawOf, storeRaw, type Tensor } from '@ao/core';
import type { ProcessGroup } from '../process-group.ts';

export type ReduceOp = 'sum' | 'avg' | 'max' | 'min';

const describe = (t: Tensor): string => `${t.dtype.name}[${t.shape}]`;

function check(op: string, t: Tensor, group: ProcessGroup): Meta {
  const at = { op, tensor: describe(t) };
  if (group.closed)
    throw new AoError('ERR_AO_DISPOSED', 'the process group was destroyed', {
      ...at,
      fix: 'call initProcessGroup again',
    });
  if (t.device !== group.device) {
    throw new AoError(
      'ERR_AO_DEVICE',
      `rank ${group.rank} gave a tensor on ${t.device} to a group on ${group.device}`,
      {
        ...at,
        fix: `move it: await to(t, '${group.device}')`,
      },
    );
  }
  return { shape: t.shape, dtype: t.dtype };
}

function checkSum(op: string, t: Tensor): void {
  if (t.dtype.category === 'float' && t.dtype.bits >= 16 && t.dtype.bits <= 32) return;
  throw new AoError('ERR_AO_DTYPE', `${describe(t)} cannot be summed over ranks`, {
    op,
    fix: 'cast it to float32, bfloat16 or float16',
  });
}

/** On the reference backend a group has one rank, whose values stay as they are. */
function alone(group: ProcessGroup): void {
  if (group.size === 1) return;
  throw new AoError('ERR_AO_DEVICE', `a group of ${group.size} ranks on the reference backend`, {
    fix: "use cpu() of '@ao/kernels-cpu' or cuda() of '@ao/kernels-cuda'",
  });
}

const copied = (out: Dense, x: Dense, group: ProcessGroup): void => {
  alone(group);
  storeRaw(out, rawOf(x));
};

function checkInPlace(op: string, t: Tensor): void {
  if (t.kind === null && (t as Dense).contiguous) return;
  throw new AoError('ERR_AO_SHAPE', `${describe(t)} is not contiguous`, {
    op,
    fix: 'give contiguous(t), and copy_ it back',
  });
}

/** t becomes the sum (or 'avg', 'max', 'min') of all ranks' t; float32, bfloat16 or float16. */
export const allReduce_ = /*@__PURE__*/ defineOp<[t: Tensor, group: ProcessGroup, reduce?: ReduceOp]>('all_reduce_', {
  mutates: 0,
  reference: (_, __, group: ProcessGroup) => alone(group),
  meta(t, group) {
    checkSum('all_reduce_', t);
    checkInPlace('all_reduce_', t);
    return check('all_reduce_', t, group);
  },
});

/** t becomes rank `root`'s t; any dtype. */
export const broadcast_ = /*@__PURE__*/ defineOp<[t: Tensor, group: ProcessGroup, root?: number]>('broadcast_', {
  mutates: 0,
  reference: (_, __, group: ProcessGroup) => alone(group),
  meta(t, group, root = 0) {
    checkInPlace('broadcast_', t);
    if (!Number.isInteger(root) || root < 0 || root >= group.size)
      throw new AoError('ERR_AO_CONFIG', `root is ${root}, the group has ${group.size} ranks`, {
        op: 'broadcast_',
        fix: 'give a rank',
      });
    return check('broadcast_', t, group);
  },
});

/** x [n, ...] of all ranks, one after the other: [size n, ...]; any dtype. */
export const allGather = /*@__PURE__*/ defineOp<[x: Tensor, group: ProcessGroup]>('all_gather', {
  reference: copied,
  meta(x, group) {
    const { shape, dtype } = check('all_gather', x, group);
    return { shape: [group.size * (shape[0] ?? 1), ...shape.slice(1)], dtype };
  },
});

/** The part of this rank [n, ...] of the sum (or 'avg', 'max', 'min') of all ranks' x [size n, ...]. */
export const reduceScatter = /*@__PURE__*/ defineOp<[x: Tensor, group: ProcessGroup, reduce?: ReduceOp]>(
  'reduce_scatter',
  {
    reference: copied,
    meta(x, group) {
      checkSum('reduce_scatter', x);
      const { shape, dtype } = check('reduce_scatter', x, group);
      if (x.ndim === 0 || shape[0]! % group.size !== 0)
        throw new AoError('ERR_AO_SHAPE', `${describe(x)} has no ${group.size} equal parts`, {
          op: 'reduce_scatter',
          fix: `pad its first size to a multiple of ${group.size}`,
        });
      return { shape: [shape[0]! / group.size, ...shape.slice(1)], dtype };
    },
  },
);

/** Makes a group in the backend and writes its address of this rank to uint8 [128]. */
export const groupOpen_ = /*@__PURE__*/ defineOp<
  [address: Tensor, id: number, host: number, rank: number, size: number]
>('group_open_', {
  mutates: 0,
  reference: () => {},
  meta: (address) => address,
});

/** Connects to the ranks at uint8 [128 size]. */
export const groupConnect_ = /*@__PURE__*/ defineOp<[addresses: Tensor, id: number, timeout: number]>(
  'group_connect_',
  {
    mutates: 0,
    reference: () => {},
    meta: (addresses) => addresses,
  },
);

export const groupClose_ = /*@__PURE__*/ defineOp<[t: Tensor, id: number]>('group_close_', {
  mutates: 0,
  reference: () => {},
  meta: (t) => t,
});
