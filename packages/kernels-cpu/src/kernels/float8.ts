// float8 of training and products of codes: ops of @ao/float8 and of quantized kinds, known by their ids, so that neither package needs the
// other and apps without them bundle none.
import * as ao from '@ao/core';
import { type Dense, type DType, type KernelEntry, kernel, type Op, type Tensor } from '@ao/core';
import { address, calls, isFloat } from './support.ts';
import { named } from './training.ts';

type Axis = 'all' | 'rows' | 'columns';

const AXES: readonly Axis[] = ['all', 'rows', 'columns'];
/** Along which axis of x as it lies the rows and columns of its transpose are. */
const TURNED_AXES: readonly Axis[] = ['all', 'columns', 'rows'];

/** The axis that a scale [1, 1], [R, 1] or [1, C] of a matrix is along. */
const axisOf = (scale: Dense): number => (scale.shape[0] !== 1 ? 1 : scale.shape[1] !== 1 ? 2 : 0);

/** Codes and the scales that they have, along which axis. */
type Codes = readonly [codes: Dense, scale: Dense, axis: number];

interface CastOptions {
  readonly powerOf2?: boolean;
  readonly given?: boolean;
  /** Scales of quantization: codes are of x / scale. */
  readonly divides?: boolean;
}

function toFloat8(x: Dense, codes: Codes | undefined, turned: Codes | undefined, options: CastOptions): void {
  const { powerOf2 = false, given = false, divides = false } = options;
  const [rows, columns] = x.shape as [number, number];
  const of = (c: Codes | undefined): [number, number] => (c === undefined ? [0, 0] : [address(c[0]), address(c[1])]);
  calls(x).to_float8(
    ...of(codes),
    ...of(turned),
    address(x),
    rows,
    columns,
    x.dtype.code,
    (codes ?? turned)![0].dtype.code,
    codes?.[2] ?? 0,
    turned?.[2] ?? 0,
    divides ? 2 : Number(powerOf2),
    Number(given),
  );
}

/** A matrix whose rows or columns lie without gaps, and its strides; its product kernels read it as it is. */
function side(t: Dense): readonly [Dense, row: number, column: number] {
  const whole = t.strides.includes(1) ? t : (ao.contiguous(t) as Dense);
  const [row, column] = whole.strides as [number, number];
  return [whole, row, column];
}

type ToFloat8 = Op<[x: Tensor, dtype: DType, axis: Axis, powerOf2: boolean], [Tensor, Tensor]>;

type ToFloat8Both = Op<
  [x: Tensor, dtype: DType, axis: Axis, turnedAxis: Axis, powerOf2: boolean],
  [Tensor, Tensor, Tensor, Tensor]
>;

export const float8Kernels = (): KernelEntry[] => [
  kernel(
    named<ToFloat8>('to_float8'),
    'cpu',
    ([q, scale], x, _, axis, powerOf2) => toFloat8(x, [q!, scale!, AXES.indexOf(axis)], undefined, { powerOf2 }),
    { when: (x) => isFloat(x.dtype) },
  ),
  kernel(
    named<ToFloat8>('to_float8_turned'),
    'cpu',
    ([q, scale], x, _, axis, powerOf2) => toFloat8(x, undefined, [q!, scale!, TURNED_AXES.indexOf(axis)], { powerOf2 }),
    { when: (x) => isFloat(x.dtype) },
  ),
  kernel(
    named<ToFloat8Both>('to_float8_both'),
    'cpu',
    ([q, scale, turned, turnedScale], x, _, axis, turnedAxis, powerOf2) =>
      toFloat8(x, [q!, scale!, AXES.indexOf(axis)], [turned!, turnedScale!, TURNED_AXES.indexOf(turnedAxis)], {
        powerOf2,
      }),
    { when: (x) => isFloat(x.dtype) },
  ),
  kernel(
    named<Op<[x: Tensor, scale: Tensor, dtype: DType], Tensor>>('float8_codes'),
    'cpu',
    (q, x, scale) => toFloat8(x, [q, scale, axisOf(scale)], undefined, { given: true }),
    { when: (x) => isFloat(x.dtype) },
  ),
  kernel(
    named<Op<[x: Tensor, dtype: DType], [Tensor, Tensor]>>('quantize_rows_float8'),
    'cpu',
    ([q, scale], x) => toFloat8(x, [q!, scale!, 1], undefined, { divides: true }),
    { when: (x) => isFloat(x.dtype) },
  ),
  kernel(
    named<typeof ao.scaledMm>('scaled_mm'),
    'cpu',
    (out, a, aScale, b, bScale, { divides = false, useFastAccum = false }) =>
      ao.scope(() => {
        const [[left, aRow, aColumn], [right, bRow, bColumn]] = [side(a), side(b)];
        const [m, k] = a.shape as [number, number];
        calls(out).scaled_mm(
          address(out),
          address(left),
          address(ao.contiguous(aScale) as Dense),
          address(right),
          address(ao.contiguous(bScale) as Dense),
          m,
          b.shape[0]!,
          k,
          aRow,
          aColumn,
          bRow,
          bColumn,
          a.dtype.code,
          b.dtype.code,
          axisOf(aScale),
          axisOf(bScale),
          Number(divides),
          Number(useFastAccum),
          out.dtype.code,
        );
      }),
    { strided: true, when: (_a, _aScale, _b, _bScale, { outDtype, emulate }) => emulate !== true && isFloat(outDtype) },
  ),
  kernel(
    named<typeof ao.intMm>('int_mm'),
    'cpu',
    (out, a, b) =>
      ao.scope(() => {
        const [[left, aRow, aColumn], [right, bRow, bColumn]] = [side(a), side(b)];
        const [m, k] = a.shape as [number, number];
        const n = b.shape[0]!;
        calls(out).int_mm(address(out), address(left), address(right), m, n, k, aRow, aColumn, bRow, bColumn);
      }),
    { strided: true },
  ),
];
