// Two 4-bit codes a byte of uint8 [..., K / 2]: MX and NVFP4 put the even column low, NF4 the first value high.
import { add, cast, cat, div, float32, floor, mul, reshape, slice, sub, type Tensor, uint8, zeros } from '@ao/core';

const every = (t: Tensor, start: number): Tensor => slice(t, t.ndim - 1, start, Number.POSITIVE_INFINITY, 2);

function even(codes: Tensor): Tensor {
  if ((codes.shape.at(-1) as number) % 2 === 0) return codes;
  const one = zeros(codes.rt, [...codes.shape.slice(0, -1), 1], { dtype: uint8, device: codes.device });
  return cat([codes, one], codes.ndim - 1);
}

/** Codes 0..15 uint8 [..., K] -> uint8 [..., ceil(K / 2)]; `first` says where the even column lies. */
export function packUint4(codes: Tensor, first: 'low' | 'high' = 'low'): Tensor {
  const all = cast(even(codes), float32);
  const [a, b] = [every(all, 0), every(all, 1)];
  return cast(first === 'low' ? add(a, mul(b, 16)) : add(mul(a, 16), b), uint8);
}

/** uint8 [..., B] -> codes 0..15 uint8 [..., columns], 2B of them unless given. */
export function unpackUint4(bytes: Tensor, columns?: number, first: 'low' | 'high' = 'low'): Tensor {
  const all = cast(bytes, float32);
  const high = floor(div(all, 16));
  const low = sub(all, mul(high, 16));
  const [a, b] = first === 'low' ? [low, high] : [high, low];
  const one = (t: Tensor): Tensor => reshape(cast(t, uint8), [...t.shape, 1]);
  const pairs = reshape(cat([one(a), one(b)], bytes.ndim), [...bytes.shape.slice(0, -1), -1]);
  return columns === undefined || columns === pairs.shape.at(-1) ? pairs : slice(pairs, pairs.ndim - 1, 0, columns);
}
