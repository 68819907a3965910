// float8 of training: ops of @ao/float8, known by their ids, so that neither package needs the other.
import { type Dense, type DType, type KernelEntry, kernel, type Op, type Tensor } from '@ao/core';
import { address, calls, isFloat } from './support.ts';
import { named } from './training.ts';

type Axis = 'all' | 'rows' | 'columns';

const AXES: readonly Axis[] = ['all', 'rows', 'columns'];

/** The axis that a scale [1, 1], [R, 1] or [1, C] of a matrix is along. */
const axisOf = (scale: Dense): number => (scale.shape[0] !== 1 ? 1 : scale.shape[1] !== 1 ? 2 : 0);

function toFloat8(q: Dense, scale: Dense, x: Dense, axis: number, powerOf2: boolean, given: boolean): void {
  const [rows, columns] = x.shape as [number, number];
  calls(x).to_float8(
    address(q),
    address(scale),
    address(x),
    rows,
    columns,
    x.dtype.code,
    q.dtype.code,
    axis,
    Number(powerOf2),
    Number(given),
  );
}

export const float8Kernels = (): KernelEntry[] => [
  kernel(
    named<Op<[x: Tensor, dtype: DType, axis: Axis, powerOf2: boolean], [Tensor, Tensor]>>('to_float8'),
    'cpu',
    ([q, scale], x, _, axis, powerOf2) => toFloat8(q!, scale!, x, AXES.indexOf(axis), powerOf2, false),
    { when: (x) => isFloat(x.dtype) },
  ),
  kernel(
    named<Op<[x: Tensor, scale: Tensor, dtype: DType], Tensor>>('float8_codes'),
    'cpu',
    (q, x, scale) => toFloat8(q, scale, x, axisOf(scale), false, true),
    { when: (x) => isFloat(x.dtype) },
  ),
  kernel(named<Op<[q: Tensor, scale: Tensor], Tensor>>('from_float8'), 'cpu', (out, q, scale) => {
    const [rows, columns] = q.shape as [number, number];
    calls(q).from_float8(address(out), address(q), address(scale), rows, columns, q.dtype.code, axisOf(scale));
  }),
];
