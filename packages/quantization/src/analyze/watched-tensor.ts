// WatchedTensor: a weight that tells who multiplies by it. linear, linears and embedding report their inputs to the watcher
// and then run on the weight underneath as if nothing were there; that weight stays as it is, packed or not.
import {
  defineKind,
  dequantize,
  type Entry,
  embedding,
  isTensor,
  keep,
  kindEntry,
  linear,
  linears,
  type Module,
  override,
  type Tensor,
} from '@ao/core';
import { configError } from '../config/field.ts';

export interface Watcher {
  /** x [..., K] is about to meet the weights of these names in one call. */
  linear?(x: Tensor, names: readonly string[]): void;
  embedding?(name: string): void;
}

interface WatchedAttrs {
  readonly name: string;
  readonly watcher: Watcher;
}

export const watchedKind = /*@__PURE__*/ defineKind('WatchedTensor', {
  parts: ['base'],
  attrs: (value: unknown) => value as WatchedAttrs,
  dequantize: (t) => dequantize(t.base),
});

type Watched = ReturnType<typeof watchedKind.make>;

const baseOf = (t: Tensor): Tensor => (watchedKind.is(t) ? t.base : t);

function told(x: Tensor, ws: readonly Tensor[]): Tensor[] {
  const watched = ws.filter((w) => watchedKind.is(w)) as Watched[];
  watched[0]?.attrs.watcher.linear?.(
    x,
    watched.map((w) => w.attrs.name),
  );
  return ws.map(baseOf);
}

const makeEntries = (): readonly Entry[] => [
  kindEntry(watchedKind),
  override(linear, 1, watchedKind, (x, w, b) => linear(x, told(x, [w])[0] as Tensor, b)),
  override(linears, 1, watchedKind, (x, ws, bs) => linears(x, told(x, ws), bs)),
  override(embedding, 0, watchedKind, (w, indices) => {
    const { attrs, base } = w as Watched;
    attrs.watcher.embedding?.(attrs.name);
    return embedding(base, indices);
  }),
];

const entries = /*@__PURE__*/ makeEntries();

/** For an extension. */
export const watchedEntries = (): readonly Entry[] => entries;

/** A weight of a model and every place that holds it. */
export interface Site {
  /** All names of the tensor. */
  readonly names: readonly string[];
  readonly weight: Tensor;
  /** Puts a tensor in all its places; nothing is disposed. */
  put(t: Tensor): void;
}

/** The distinct weights that linear reads and `filter` takes, a tied embedding with its head. */
export function sitesOf(model: Module, filter: (module: Module, fqn: string) => boolean): Site[] {
  const places = new Map<Tensor, { readonly names: string[]; readonly bags: [Record<string, unknown>, string][] }>();
  const wanted = new Set<Tensor>();
  for (const [fqn, module] of model.namedModules()) {
    const bag = module as unknown as Record<string, unknown>;
    for (const key of module.packableNames()) {
      const weight = bag[key];
      if (!isTensor(weight) || weight.ndim !== 2) continue;
      const place = places.get(weight) ?? { names: [], bags: [] };
      place.names.push(fqn === '' ? key : `${fqn}.${key}`);
      place.bags.push([bag, key]);
      places.set(weight, place);
      if (filter(module, fqn)) wanted.add(weight);
    }
  }
  return [...places]
    .filter(([weight]) => wanted.has(weight))
    .map(([weight, { names, bags }]) => ({
      names,
      weight,
      put: (t) => {
        for (const [bag, key] of bags) bag[key] = t;
      },
    }));
}

/** Watches the weights of these sites until the function it returns is called. */
export function watch(sites: readonly Site[], watcher: Watcher): () => void {
  for (const { names, weight, put } of sites) {
    const name = names[0] as string;
    if (!weight.rt.kinds.has(watchedKind.name)) {
      throw configError('this runtime cannot watch weights', 'add quantization() to createRuntime({ use: [...] })');
    }
    put(keep(watchedKind.make({ base: weight }, { name, watcher }, weight.shape, weight.dtype)));
  }
  return () => {
    for (const { weight, put } of sites) put(weight);
  };
}
