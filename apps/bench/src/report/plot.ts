// The plot of a run, as SVG: ratios to peers, each beside its target, and shares of the machine's limits.
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Row } from '../row.ts';
import type { Results } from '../run.ts';

export async function plot({ machine, commit, threads, rows }: Results): Promise<string> {
  const { spec } = compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    title: {
      text: `Speed of ao on ${machine.cpu}, ${threads} threads`,
      subtitle: `commit ${commit.id}; the tick is the target, a row that misses it is lighter`,
      anchor: 'start',
    },
    vconcat: [
      bars('times as fast as the peer', rows, ({ ratio, target, peer }) =>
        ratio === undefined
          ? undefined
          : { value: ratio, target: target?.kind === 'ratio' ? target.value : null, than: peer!.name },
      ),
      bars('share of the machine’s limit', rows, ({ share, target, limit }) =>
        share === undefined
          ? undefined
          : { value: share, target: target?.kind === 'share' ? target.value : null, than: limit!.name },
      ),
    ],
  });
  const view = new View(parse(spec), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}

interface Bar {
  readonly value: number;
  readonly target: number | null;
  readonly than: string;
}

type Unit = Extract<TopLevelSpec, { layer: unknown }>;

function bars(title: string, rows: readonly Row[], of: (row: Row) => Bar | undefined): Omit<Unit, '$schema'> {
  const values = rows.flatMap((row) => {
    const bar = of(row);
    return bar === undefined
      ? []
      : [{ ...bar, missed: row.met === false, name: `${row.what}${row.form ? ` [${row.form}]` : ''} : ${bar.than}` }];
  });
  const y = { field: 'name', type: 'nominal', sort: null, title: null, axis: { labelLimit: 0 } } as const;
  return {
    data: { values },
    width: 420,
    height: { step: 18 },
    layer: [
      {
        mark: { type: 'bar', height: 12 },
        encoding: {
          y,
          x: { field: 'value', type: 'quantitative', title, scale: { zero: true } },
          color: { condition: { test: 'datum.missed', value: '#f2a65a' }, value: '#4c78a8' },
        },
      },
      {
        mark: { type: 'tick', color: '#e45756', thickness: 2, size: 16 },
        transform: [{ filter: 'datum.target != null' }],
        encoding: { y, x: { field: 'target', type: 'quantitative' } },
      },
      {
        mark: { type: 'text', align: 'left', dx: 4, fontSize: 10 },
        encoding: {
          y,
          x: { field: 'value', type: 'quantitative' },
          text: { field: 'value', type: 'quantitative', format: '.2f' },
        },
      },
    ],
  };
}
