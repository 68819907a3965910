// plotCurves: loss by tokens, a line for each way of training, as SVG.
import { parse, View } from 'vega';
import { compile } from 'vega-lite';

export interface Curve {
  /** Of the legend. */
  readonly label: string;
  readonly points: readonly { readonly tokens: number; readonly loss: number }[];
}

export async function plotCurves(title: string, curves: readonly Curve[]): Promise<string> {
  const { spec } = compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    title: { text: title, anchor: 'start' },
    data: { values: curves.flatMap((c) => c.points.map((p) => ({ ...p, way: c.label }))) },
    width: 640,
    height: 360,
    mark: { type: 'line', strokeWidth: 1.2, opacity: 0.8 },
    encoding: {
      x: { field: 'tokens', type: 'quantitative', title: 'tokens' },
      y: { field: 'loss', type: 'quantitative', title: 'loss, nats a token', scale: { zero: false } },
      color: {
        field: 'way',
        type: 'nominal',
        sort: null,
        title: null,
        legend: { orient: 'top-right', labelLimit: 0 },
      },
      strokeDash: { field: 'way', type: 'nominal', sort: null, legend: null },
    },
  });
  const view = new View(parse(spec), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
