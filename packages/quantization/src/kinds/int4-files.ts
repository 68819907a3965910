// An int4 tensor in files: torchao's Int4Tensor, and its Int4TilePackedTo4dTensor (tinygemm's tiles, for tensor cores), which
// holds the same numbers: qdata int32 [N / 8, K / 128, 32, 4], scale_and_zero bfloat16 [K / g, N, 2], both padded.
import {
  add,
  cast,
  cat,
  contiguous,
  type FileForm,
  full,
  int8,
  int32,
  packInt4,
  reshape,
  scope,
  slice,
  sub,
  type Tensor,
  uint8,
  unpackInt4,
} from '@ao/core';
import { decodeActivation, decodeDtypeName, decodeInts, encodeDtype, withActivation } from './attributes.ts';
import type { Int4Attrs, Int4Tensor } from './int4-tensor.ts';
import { packTiles, tiledShape, unpackTiles } from './int4-tiles.ts';

const names = (t: Int4Tensor, ...own: string[]): string[] => [
  ...(t.act_pre_scale === undefined ? [] : ['act_pre_scale']),
  ...own,
];

export const plainForm: FileForm<Int4Tensor> = {
  type: 'Int4Tensor',
  takes: ({ attrs }) => attrs.tilePacked !== true,
  names: (t) => names(t, 'qdata', 'scale', 'zero_point'),
  encode: (t) => {
    const data = {
      activation_dtype: encodeDtype(t.attrs.activationDtype),
      block_size: t.attrs.blockSize,
      shape: t.shape,
    };
    return withActivation(data, t.attrs.activation);
  },
  decode: (json, parts) => ({
    attrs: {
      blockSize: decodeInts(json.block_size, 'block_size'),
      activationDtype: json.activation_dtype === undefined ? 'bfloat16' : decodeDtypeName(json.activation_dtype),
      activation: decodeActivation(json),
    } satisfies Int4Attrs,
    shape: decodeInts(json.shape, 'shape'),
    dtype: (parts.scale as Tensor).dtype,
  }),
};

/** x [N, K] with `value` up to `shape`. */
function padded(x: Tensor, shape: readonly number[], value: number): Tensor {
  let out = x;
  for (const dim of [0, 1]) {
    const missing = (shape[dim] as number) - (out.shape[dim] as number);
    const more = out.shape.map((size, i) => (i === dim ? missing : size));
    if (missing > 0) out = cat([out, full(x.rt, more, value, { dtype: x.dtype, device: x.device })], dim);
  }
  return out;
}

function store(t: Int4Tensor): Record<string, Tensor> {
  const { qdata, scale, zero_point: zero, act_pre_scale } = t.parts as Readonly<Record<string, Tensor>>;
  const [rows, columns] = tiledShape(t.shape as [number, number]);
  const codes = cast(add(cast(unpackInt4(qdata as Tensor), int32), 8), uint8);
  const grid = [columns / (t.attrs.blockSize[1] as number), rows];
  // what is padded means 0: code 8 with scale 1 and zero point 0
  const pair = [padded(scale as Tensor, grid, 1), padded(zero as Tensor, grid, 0)];
  return {
    qdata: packTiles(padded(codes, [rows, columns], 8)),
    scale_and_zero: cat(
      pair.map((p) => reshape(p, [...grid, 1])),
      2,
    ),
    ...(act_pre_scale !== undefined && { act_pre_scale }),
  };
}

export const tiledForm: FileForm<Int4Tensor> = {
  type: 'Int4TilePackedTo4dTensor',
  takes: ({ attrs }) => attrs.tilePacked === true,
  names: (t) => names(t, 'qdata', 'scale_and_zero'),
  encode: (t) => withActivation({ block_size: t.attrs.blockSize, shape: t.shape }, t.attrs.activation),
  store: (t) => scope(() => store(t)),
  decode: (json, { qdata, scale_and_zero, act_pre_scale }) => {
    const blockSize = decodeInts(json.block_size, 'block_size');
    const shape = decodeInts(json.shape, 'shape');
    const [N, K] = shape as [number, number];
    const { dtype } = scale_and_zero as Tensor;
    const parts = scope(() => {
      const codes = slice(slice(unpackTiles(qdata as Tensor), 0, 0, N), 1, 0, K);
      const groups = K / (blockSize[1] as number);
      const part = (i: number): Tensor => {
        const one = slice(slice(slice(scale_and_zero as Tensor, 0, 0, groups), 1, 0, N), 2, i, i + 1);
        return reshape(contiguous(one), [groups, N]);
      };
      return {
        qdata: packInt4(cast(sub(cast(contiguous(codes), int32), 8), int8)),
        scale: part(0),
        zero_point: part(1),
        ...(act_pre_scale !== undefined && { act_pre_scale }),
      };
    });
    const attrs = { blockSize, activationDtype: 'bfloat16', activation: decodeActivation(json), tilePacked: true };
    return { attrs, shape, dtype, parts };
  },
};
