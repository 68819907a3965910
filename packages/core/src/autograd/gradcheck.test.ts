// Every op that has a derivative, on its samples at float64, against finite differences.
import { describe, expect, it } from 'vitest';
import { inputs } from '../../../testing/src/conformance/inputs.ts';
import { float32, float64 } from '../dtypes/index.ts';
import type { Op } from '../op.ts';
import { castTo, clone } from '../ops/copy.ts';
import { createRuntime, type RuntimeImpl } from '../runtime.ts';
import { opSamples } from '../samples.ts';
import { isTensor, type Tensor } from '../tensor.ts';
import { autograd } from './extension.ts';
import { gradcheck } from './gradcheck.ts';

/** Arguments that are constants of float32, whatever the rest is. */
const FLOAT32: Readonly<Record<string, readonly number[]>> = { rope: [1, 2], attention: [4] };

/** Calls see the same state of a generator. */
const again = (t: Tensor): Tensor => (t.dtype.category === 'float' ? t : clone(t));

const rt = (await createRuntime({ use: [autograd()] })) as RuntimeImpl;
/** Samples of floats that are smooth where they are. */
const tables = opSamples()
  .filter(({ op }) => rt.registry.op(op).vjp !== undefined)
  .map(({ op, samples }) => ({
    op,
    list: samples.filter((s) => !/bfloat16|float16|float8|int|bool|codes|cache|bit rows|ties/.test(s.name)),
  }));

/** Their samples are of other dtypes; autograd.test.ts has them. */
const ELSEWHERE = ['cast', 'clone', 'contiguous', 'expand', 'permute', 'reshape', 'slice', 'squeeze', 'unsqueeze'];

it('covers every op that has a derivative', () => {
  const covered = new Set([...ELSEWHERE, ...tables.filter((t) => t.list.length > 0).map((t) => t.op.id)]);
  const ruled = autograd().entries.flatMap((e) => (e.type === 'vjp' ? [e.op.id] : []));
  expect(ruled.filter((id) => !covered.has(id))).toEqual([]);
});

describe.each(tables.filter((t) => t.list.length > 0).map(({ op, list }) => [op.id, op, list] as const))(
  '%s',
  (id, op, floats) => {
    it.each(floats.map((s) => [s.name, s] as const))('%s', (name, sample) => {
      const { make } = inputs(rt, 'reference', `${id}/${name}`);
      const raw = sample.args((shape, o = {}) =>
        make(shape, { ...o, dtype: (o.dtype ?? float32) === float32 ? float64 : o.dtype! }),
      );
      const args = raw.map((a, i) => (FLOAT32[id]?.includes(i) && isTensor(a) ? castTo(a, float32) : a));
      const flat = args.flat().filter(isTensor) as Tensor[];
      const call = op as unknown as Op<unknown[], Tensor>;
      const { checked } = gradcheck(
        (...given) => {
          const of = (a: unknown): unknown => (isTensor(a) ? again(given[flat.indexOf(a)]!) : a);
          return call(...args.map((a) => (Array.isArray(a) ? a.map(of) : of(a))));
        },
        flat,
        { elements: 12 },
      );
      expect(checked).toBeGreaterThan(0);
    });
  },
);
