// Old option names of torchao and transformers that are errors today, each naming its replacement.
import { configError } from './field.ts';
import type { Granularity, PerBlock } from './granularity.ts';

/** torchao's Layout objects: packing is now private to a backend. A plain layout means what we do anyway. */
export function layoutMoved(value: unknown): Record<string, unknown> {
  const name =
    typeof value === 'string'
      ? value
      : ((value as { type?: string; _type?: string } | null)?.type ?? (value as { _type?: string } | null)?._type);
  if (value === null || name === 'PlainLayout' || name === 'plain') return {};
  throw configError(
    `layout ${JSON.stringify(name ?? value)} is not an option: every weight is kept in one plain layout and prepare(model) packs it for the machine`,
    'leave layout out',
  );
}

export function schemeMoved(value: unknown): Record<string, unknown> {
  throw configError(
    `scheme ${JSON.stringify(value)} is not an option of a config: the config itself is the scheme`,
    `pass parseScheme('int4wo-32') or a config such as int4WeightOnly({ groupSize: 32 })`,
  );
}

export const removed = (name: string, instead: string) => (): Record<string, unknown> => {
  throw configError(`${name} is no longer an option`, instead);
};

/** The group part of a scheme name: '-32', '-tensor' or nothing for rows. */
export function groupSizeOf(g: Granularity): string {
  return g.type === 'PerGroup' ? `-${g.groupSize}` : g.type === 'PerTensor' ? '-tensor' : '';
}

/** '-128x128'. */
export const blockName = (g: PerBlock): string => `-${g.blockSize.join('x')}`;
