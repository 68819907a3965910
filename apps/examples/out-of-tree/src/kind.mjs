// Square8Tensor: a weight [N, K] in square8 codes with a float32 scale for every `groupSize` values of a row:
//   scale = max |w| of the group    codes = square8(w / scale)     w' = value(codes) scale
import * as ao from '@ao/core';
import { square8 } from './dtype.mjs';
import { square8Linear } from './op.mjs';

export const square8Kind = /*@__PURE__*/ ao.defineKind('square8', {
  parts: ['qdata', 'scale'],
  attrs(value) {
    if (Number.isInteger(value?.groupSize) && value.groupSize > 0) return Object.freeze({ groupSize: value.groupSize });
    throw new ao.AoError('ERR_AO_FORMAT', `a square8 tensor has the attributes ${JSON.stringify(value)}`, {
      fix: 'give { groupSize }, a whole number from 1',
    });
  },
  dequantize: (t) =>
    ao.scope(() => {
      const [N, groups] = t.scale.shape;
      const values = ao.cast(ao.reshape(t.qdata, [N, groups, t.attrs.groupSize]), ao.float32);
      return ao.cast(ao.reshape(ao.mul(values, ao.reshape(t.scale, [N, groups, 1])), t.shape), t.dtype);
    }),
  // how files name it; @ao/quantization writes and reads any kind that says this
  file: {
    type: 'Square8Tensor',
    names: () => ['qdata', 'scale'],
    encode: (t) => ({ group_size: t.attrs.groupSize, dtype: t.dtype.name }),
    decode: (json, { qdata }) => ({
      attrs: { groupSize: json.group_size },
      shape: qdata.shape,
      dtype: ao.dtypeByName(json.dtype),
    }),
  },
});

/** A float weight in square8; `groupSize` divides its columns. */
export function square8FromHp(weight, groupSize) {
  return ao.scope(() => {
    const [N, K] = weight.shape;
    const groups = ao.reshape(ao.cast(weight, ao.float32), [N, K / groupSize, groupSize]);
    const scale = ao.maximum(ao.amax(ao.abs(groups), -1, true), 2 ** -126); // a group of zeros divides by something
    const qdata = ao.cast(ao.div(groups, scale), square8);
    const parts = { qdata: ao.reshape(qdata, [N, K]), scale: ao.reshape(scale, [N, K / groupSize]) };
    return square8Kind.make(parts, { groupSize }, weight.shape, weight.dtype);
  });
}

const mapParts = (t, f) => ({ qdata: f(t.qdata), scale: f(t.scale) });

/** Rows, or columns at borders of groups: by this and clone, `parallelize` of @ao/distributed cuts linears of this kind over processes. */
function sliced(t, dim, start, end) {
  const axis = dim < 0 ? dim + 2 : dim;
  const step = axis === 0 ? 1 : t.attrs.groupSize;
  if (start % step !== 0 || end % step !== 0) {
    throw new ao.AoError('ERR_AO_SHAPE', `columns ${start}..${end} cut through groups of ${step}`, {
      op: 'slice',
      fix: `use multiples of ${step}`,
    });
  }
  const qdata = ao.slice(t.qdata, axis, start, end);
  const parts = { qdata, scale: ao.slice(t.scale, axis, start / step, end / step) };
  return square8Kind.make(parts, t.attrs, qdata.shape, t.dtype);
}

const inFloat32 = (t) => t && ao.cast(t, ao.float32);

/** What makes the kind known to loaders, and linear() run on it. */
export const kindEntries = () => [
  ao.kindEntry(square8Kind),
  ao.override(ao.slice, 0, square8Kind, (t, dim, start, end) => sliced(t, dim, start, end)),
  ao.override(ao.clone, 0, square8Kind, (t) => square8Kind.make(mapParts(t, ao.clone), t.attrs, t.shape, t.dtype)),
  ao.override(ao.linear, 1, square8Kind, (x, w, b) =>
    ao.scope(() => ao.cast(square8Linear(inFloat32(x), w.qdata, w.scale, inFloat32(b)), x.dtype)),
  ),
];
