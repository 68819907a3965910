// Elementwise functions of two operands with broadcasting and torch's type promotion; numbers are weak.
import type { DType } from '../dtype.ts';
import { bool, resultType } from '../dtypes/index.ts';
import { AoError } from '../errors.ts';
import { defineOp, type Op } from '../op.ts';
import { isTensor, type Tensor } from '../tensor.ts';
import { broadcastShapes } from './checks.ts';

export type Operand = Tensor | number;
type Binary = Op<[a: Operand, b: Operand], Tensor>;

const shapeOf = (x: Operand): readonly number[] => (isTensor(x) ? x.shape : []);

function define(id: string, result?: DType): Binary {
  return defineOp(id, {
    meta(a, b) {
      for (const x of [a, b]) {
        if (typeof x === 'number' || isTensor(x)) continue;
        throw new AoError('ERR_AO_DTYPE', `an operand is ${String(x)}, it needs a tensor or a number`, {
          op: id,
          fix: 'wrap data with tensor(rt, data)',
        });
      }
      return { shape: broadcastShapes(id, shapeOf(a), shapeOf(b)), dtype: result ?? resultType(a, b) };
    },
  });
}

export const add: Binary = /*@__PURE__*/ define('add');
export const sub: Binary = /*@__PURE__*/ define('sub');
export const mul: Binary = /*@__PURE__*/ define('mul');
/** True division; integers give float32. */
export const div: Binary = /*@__PURE__*/ defineOp<[a: Operand, b: Operand]>('div', {
  meta(a, b) {
    const dtype = resultType(a, b);
    const shape = broadcastShapes('div', shapeOf(a), shapeOf(b));
    return { shape, dtype: dtype.category === 'float' ? dtype : resultType(a, b, 0.5) };
  },
});
/** NaN wins, as in torch. */
export const maximum: Binary = /*@__PURE__*/ define('maximum');
export const minimum: Binary = /*@__PURE__*/ define('minimum');
export const pow: Binary = /*@__PURE__*/ define('pow');
export const eq: Binary = /*@__PURE__*/ define('eq', bool);
export const ne: Binary = /*@__PURE__*/ define('ne', bool);
export const lt: Binary = /*@__PURE__*/ define('lt', bool);
export const le: Binary = /*@__PURE__*/ define('le', bool);
export const gt: Binary = /*@__PURE__*/ define('gt', bool);
export const ge: Binary = /*@__PURE__*/ define('ge', bool);

/** cond ? a : b, elementwise; cond is bool. */
export const where = /*@__PURE__*/ defineOp<[cond: Tensor, a: Operand, b: Operand]>('where', {
  meta(cond, a, b) {
    if (cond.dtype !== bool) {
      throw new AoError('ERR_AO_DTYPE', `cond is ${cond.dtype.name}, it needs bool`, {
        op: 'where',
        fix: 'use ne(cond, 0)',
      });
    }
    const shape = broadcastShapes('where', cond.shape, broadcastShapes('where', shapeOf(a), shapeOf(b)));
    return { shape, dtype: resultType(a, b) };
  },
});
