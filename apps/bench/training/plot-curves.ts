// plotCurves: loss by tokens, a line for each optimizer, as SVG; the legend tells the bytes of its state.
import { parse, View } from 'vega';
import { compile } from 'vega-lite';

export interface Curve {
  readonly name: string;
  readonly parameters: number;
  readonly stateBytes: number;
  /** Two float32 moments a parameter. */
  readonly float32StateBytes: number;
  readonly validationLoss: number;
  readonly points: readonly { readonly tokens: number; readonly loss: number }[];
}

export async function plotCurves(curves: readonly Curve[]): Promise<string> {
  const label = (c: Curve): string =>
    `${c.name}: ${(c.stateBytes / 1e6).toFixed(1)} MB of state, validation ${c.validationLoss.toFixed(3)}`;
  const { spec } = compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    title: {
      text: `A Llama of ${(curves[0]!.parameters / 1e6).toFixed(1)} M parameters from new weights`,
      anchor: 'start',
    },
    data: { values: curves.flatMap((c) => c.points.map((p) => ({ ...p, optimizer: label(c) }))) },
    width: 640,
    height: 360,
    mark: { type: 'line', strokeWidth: 1.2, opacity: 0.8 },
    encoding: {
      x: { field: 'tokens', type: 'quantitative', title: 'tokens' },
      y: { field: 'loss', type: 'quantitative', title: 'loss, nats a token', scale: { zero: false } },
      color: {
        field: 'optimizer',
        type: 'nominal',
        sort: null,
        title: null,
        legend: { orient: 'top-right', labelLimit: 0 },
      },
      strokeDash: { field: 'optimizer', type: 'nominal', sort: null, legend: null },
    },
  });
  const view = new View(parse(spec), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
