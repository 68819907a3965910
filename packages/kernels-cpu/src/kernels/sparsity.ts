// Ops that @ao/sparsity declares, known by their ids so that an app without sparse weights does not bundle them.
import { type Dense, type KernelEntry, kernel, type Op, type Tensor } from '@ao/core';
import { address, addressOr, calls, movedCode, rows } from './support.ts';
import { named } from './training.ts';

interface BlockShape {
  readonly N: number;
  readonly K: number;
}

/** Rows and columns of a panel, which blocks are cut into. */
const PANEL = 16;

function copyBlocks(out: Dense, x: Dense, crow: Dense, col: Dense, { N, K }: BlockShape, gather: boolean): void {
  const block = (gather ? out : x).shape[1]!;
  const code = movedCode('block_sparse_copy', x.dtype);
  calls(x).block_sparse_copy(address(out), address(x), address(crow), address(col), N, K, block, code, gather ? 1 : 0);
}

export const sparsityKernels = (): KernelEntry[] => [
  kernel(named<Op<[x: Tensor], [Tensor, Tensor]>>('sparse24_compress'), 'cpu', ([values, meta], x) => {
    calls(x).sparse24_compress(address(values), address(meta), address(x), x.numel / 4, x.dtype.code);
  }),
  kernel(named<Op<[values: Tensor, meta: Tensor], Tensor>>('sparse24_expand'), 'cpu', (out, values, meta) => {
    const code = movedCode('sparse24_expand', values.dtype);
    calls(out).sparse24_expand(address(out), address(values), address(meta), out.numel / 4, code);
  }),
  kernel(named<Op<[x: Tensor, algorithm: string], Tensor>>('prune_tile4x4'), 'cpu', (out, x, algorithm) => {
    const magnitude = algorithm === 'largest_abs_values_greedy' ? 1 : 0;
    calls(x).prune_tile4x4(address(out), address(x), x.shape[0]!, x.shape[1]!, x.dtype.code, magnitude);
  }),
  kernel(
    named<Op<[x: Tensor, crow: Tensor, col: Tensor, B: number], Tensor>>('block_sparse_gather'),
    'cpu',
    (out, x, crow, col) => copyBlocks(out, x, crow, col, { N: x.shape[0]!, K: x.shape[1]! }, true),
  ),
  kernel(
    named<Op<[values: Tensor, crow: Tensor, col: Tensor, shape: BlockShape], Tensor>>('block_sparse_expand'),
    'cpu',
    (out, values, crow, col, shape) => copyBlocks(out, values, crow, col, shape, false),
  ),
  kernel(
    named<Op<[x: Tensor, values: Tensor, crow: Tensor, col: Tensor, b: Tensor | undefined, shape: BlockShape], Tensor>>(
      'block_sparse_linear',
    ),
    'cpu',
    (out, x, values, crow, col, b, { N, K }) => {
      const at = [address(out), address(x), address(values), address(crow), address(col), addressOr(b)] as const;
      calls(x).block_sparse_linear(...at, rows(x).rows, N, K, values.shape[1]!, x.dtype.code);
    },
    { when: (x, values, _crow, _col, b) => values.shape[1]! % PANEL === 0 && (b === undefined || b.dtype === x.dtype) },
  ),
];
