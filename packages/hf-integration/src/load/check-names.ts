// checkNames: before any tensor is read, the checkpoint must have exactly the tensors that the architecture has.
import { AoError } from '@ao/core';
import type { ModelFamily, Outline } from '../models/family.ts';

/** Names and shapes as a checkpoint gives them: a quantized weight counts as one name. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

export function checkNames(family: ModelFamily, outline: Outline, shapes: Shapes, where: string): void {
  const parameters = outline.parameters.filter((p) => p.optional !== true || shapes.has(p.name));
  const wanted = new Map(parameters.map((p) => [p.name, p.shape]));
  const missing = [...wanted.keys()].filter((name) => !shapes.has(name));
  const unexpected = [...shapes.keys()].filter(
    (name) => !wanted.has(name) && !(name in outline.tied) && !family.ignored?.test(name),
  );
  if (missing.length > 0 || unexpected.length > 0) {
    const list = (names: readonly string[]): string =>
      names.slice(0, 6).join(', ') + (names.length > 6 ? ` and ${names.length - 6} more` : '');
    throw new AoError(
      'ERR_AO_FORMAT',
      `${where} is no ${family.name} of this config: ` +
        [missing.length > 0 && `missing ${list(missing)}`, unexpected.length > 0 && `unexpected ${list(unexpected)}`]
          .filter(Boolean)
          .join('; '),
      { fix: 'use the config.json that belongs to these weights' },
    );
  }
  for (const [name, shape] of wanted) {
    const have = shapes.get(name)!;
    if (have.length === shape.length && have.every((d, i) => d === shape[i])) continue;
    throw new AoError('ERR_AO_FORMAT', `${where}: the shape is [${have}], config.json means [${shape}]`, {
      tensor: name,
      fix: 'use the config.json that belongs to these weights',
    });
  }
}
