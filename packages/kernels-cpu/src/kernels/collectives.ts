// Collectives that @ao/distributed declares, known by their ids so that an app of one process does not bundle them.
import { type Dense, type KernelEntry, kernel, type Op, type Tensor } from '@ao/core';
import { address, calls, movedCode } from './support.ts';
import { named } from './training.ts';

interface Group {
  readonly id: number;
}

/** Codes of kernels/cpu/include/ao/collective.h. */
const REDUCES = ['sum', 'avg', 'max', 'min'];
const ALL_REDUCE = 0;
const ALL_GATHER = 1;
const REDUCE_SCATTER = 2;
const BROADCAST = 3;

function collective(
  out: Dense,
  x: Dense | undefined,
  group: Group,
  what: number,
  n: number,
  reduce = 'sum',
  root = 0,
): void {
  const from = x === undefined ? 0 : address(x);
  calls(out).collective(
    address(out),
    from,
    group.id,
    what,
    n,
    movedCode('collective', out.dtype),
    REDUCES.indexOf(reduce),
    root,
  );
}

type Reduced = Op<[t: Tensor, group: Group, reduce?: string], Tensor>;

export const collectiveKernels = (): KernelEntry[] => [
  kernel(named<Reduced>('all_reduce_'), 'cpu', (t, _, group, reduce) =>
    collective(t, undefined, group, ALL_REDUCE, t.numel, reduce),
  ),
  kernel(named<Op<[t: Tensor, group: Group, root?: number], Tensor>>('broadcast_'), 'cpu', (t, _, group, root) =>
    collective(t, undefined, group, BROADCAST, t.numel, 'sum', root),
  ),
  kernel(named<Op<[x: Tensor, group: Group], Tensor>>('all_gather'), 'cpu', (out, x, group) =>
    collective(out, x, group, ALL_GATHER, x.numel),
  ),
  kernel(named<Reduced>('reduce_scatter'), 'cpu', (out, x, group, reduce) =>
    collective(out, x, group, REDUCE_SCATTER, out.numel, reduce),
  ),
  kernel(
    named<Op<[t: Tensor, id: number, host: number, rank: number, size: number], Tensor>>('group_open_'),
    'cpu',
    (t, _, id, host, rank, size) => calls(t).group_open(address(t), id, host, rank, size),
  ),
  kernel(named<Op<[t: Tensor, id: number, timeout: number], Tensor>>('group_connect_'), 'cpu', (t, _, id, timeout) =>
    calls(t).group_connect(address(t), id, timeout),
  ),
  kernel(named<Op<[t: Tensor, id: number], Tensor>>('group_close_'), 'cpu', (t, _, id) => calls(t).group_close(id)),
];
