// Every op that has a derivative, on its samples at float64, against finite differences; and the table of it, GRADIENTS.md, which is made anew by
//   AO_WRITE=1 vitest run packages/core/src/autograd/gradcheck.test.ts
import { readFileSync, writeFileSync } from 'node:fs';
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

/** Of an op: its samples, the positions of the inputs that were moved, elements, and the largest error. */
interface Row {
  samples: number;
  readonly inputs: Set<number>;
  checked: number;
  worst: number;
}
const rows = new Map<string, Row>();

function take(id: string, inputs: readonly number[], checked: number, worst: number): void {
  const row = rows.get(id) ?? { samples: 0, inputs: new Set(), checked: 0, worst: 0 };
  rows.set(id, row);
  row.samples += 1;
  for (const i of inputs) row.inputs.add(i);
  row.checked += checked;
  row.worst = Math.max(row.worst, worst);
}

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
      const { checked, worst } = gradcheck(
        (...given) => {
          const of = (a: unknown): unknown => (isTensor(a) ? again(given[flat.indexOf(a)]!) : a);
          return call(...args.map((a) => (Array.isArray(a) ? a.map(of) : of(a))));
        },
        flat,
        { elements: 12 },
      );
      expect(checked).toBeGreaterThan(0);
      const moved = args.flatMap((a, i) => ([a].flat().some((t) => isTensor(t) && t.dtype === float64) ? [i] : []));
      take(id, moved, checked, worst);
    });
  },
);

const path = new URL('../../GRADIENTS.md', import.meta.url);
const HEAD = `# Gradients

Every op that has a derivative of its own, on its samples at float64 on the reference backend, against central differences of fourth order (\`gradcheck\`): the
positions of the arguments that were moved, how many elements of them, and the largest |analytic - numeric| / max(1, |numeric|), as the power of ten that it is
below. Derivatives are of first order: backward is not recorded. \`autograd/gradcheck.test.ts\` makes this table and fails where it is out of date; ops without a row are
differentiated through what they decompose into.

`;

const power = (worst: number): string => (worst === 0 ? '0' : `1e${Math.ceil(Math.log10(worst))}`);

/** Cells as wide as their column. */
function table(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, c) => Math.max(...lines.map((l) => l[c]!.length)));
  const row = (cells: readonly string[]): string => `| ${cells.map((v, c) => v.padEnd(widths[c]!)).join(' | ')} |`;
  const [head, ...rest] = lines;
  return [row(head!), row(widths.map((w) => '-'.repeat(w))), ...rest.map(row)].join('\n');
}

it('GRADIENTS.md is what the checks above found', (context) => {
  const count = tables.filter((t) => t.list.length > 0).length;
  context.skip(rows.size < count, `${rows.size} of ${count} ops were checked in this run: the table is of all`);
  const lines = [...rows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, r]) => {
      const inputs = [...r.inputs].sort((a, b) => a - b).join(', ');
      return [`\`${id}\``, `${r.samples}`, inputs, '1', `${r.checked}`, power(r.worst)];
    });
  const end = `Checked by their values in \`autograd.test.ts\`: ${ELSEWHERE.map((id) => `\`${id}\``).join(', ')}.`;
  const head = ['op', 'samples', 'inputs', 'order', 'elements', 'error below'];
  const text = `${HEAD}${table([head, ...lines])}\n\n${end}\n`;
  if (process.env['AO_WRITE'] === '1') writeFileSync(path, text);
  const written = readFileSync(path, 'utf8');
  // errors differ a little with the machine's mathematics: at most one power of ten
  const errors = (t: string): number[] =>
    [...t.matchAll(/(\S+) +\|$/gm)].map(([, v]) => Number(v)).filter((v) => v >= 0);
  const others = (t: string): string => t.replace(/\S+ +\|$/gm, '');
  expect(others(written)).toBe(others(text));
  const bounds = errors(written);
  expect(bounds).toHaveLength(lines.length);
  for (const [i, v] of errors(text).entries()) expect(v, lines[i]![0]).toBeLessThanOrEqual(10 * bounds[i]!);
});
