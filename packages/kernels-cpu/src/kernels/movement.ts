// Copies, casts and gathers.
import * as ao from '@ao/core';
import { type Dense, type KernelEntry, kernel } from '@ao/core';
import { address, broadcastStrides, calls, collapse, copyCodes, movedCode } from './support.ts';

/** out[...] = x[...], broadcast and cast; both may be strided. */
function copy(op: string, out: Dense, x: Dense): void {
  const { shape, strides } = collapse(op, out.shape, [out.strides, broadcastStrides(x, out.shape)]);
  const [to, from] = strides as [number[], number[]];
  calls(out).copy_strided(
    address(out),
    address(x),
    ...copyCodes(op, out.dtype, x.dtype),
    shape.length,
    shape,
    to,
    from,
  );
}

export const movement = (): KernelEntry[] => [
  ...[ao.contiguousOp, ao.clone].map((op) => kernel(op, 'cpu', (out, x) => copy(op.id, out, x), { strided: true })),
  kernel(ao.castTo, 'cpu', (out, x) => copy('cast', out, x), { strided: true }),
  kernel(ao.copy_, 'cpu', (out, _, x) => copy('copy_', out, x), { strided: true }),
  kernel(
    ao.fill_,
    'cpu',
    (out, _, value) => {
      if (out.contiguous) {
        calls(out).fill(address(out), out.numel, out.dtype.code, value);
        return;
      }
      ao.scope(() => copy('fill_', out, ao.full(out.rt, [], value, { dtype: out.dtype, device: out.device })));
    },
    { strided: true },
  ),
  kernel(
    ao.addScalar_,
    'cpu',
    (x, _, value) => {
      if (x.dtype === ao.int32 && x.contiguous) calls(x).add_scalar_i32(address(x), x.numel, value);
      else ao.scope(() => copy('add_scalar_', x, ao.add(x, value) as Dense));
    },
    { strided: true },
  ),
  kernel(ao.embedding, 'cpu', (out, table, indices) => {
    const [vocab, dim] = table.shape as [number, number];
    calls(out).embedding(
      address(out),
      address(table),
      address(indices),
      indices.numel,
      vocab,
      dim,
      dim,
      movedCode('embedding', table.dtype),
    );
  }),
  kernel(
    ao.gather,
    'cpu',
    (out, x, dim, index) => {
      const d = dim < 0 ? dim + x.ndim : dim;
      calls(out).gather(
        address(out),
        address(x),
        address(index),
        x.ndim,
        out.shape,
        x.strides,
        index.strides,
        d,
        x.shape[d]!,
        movedCode('gather', x.dtype),
      );
    },
    { strided: true },
  ),
];
