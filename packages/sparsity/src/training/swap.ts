// Linears of a model by name, to those that train sparse and back; their parameters stay the same tensors.
import { AoError, Linear, type Module, replaceModule } from '@ao/core';
import { SemiSparseActivationLinear, SemiSparseLinear } from './semi-sparse-linear.ts';

export interface SemiSparseClass {
  fromDense(linear: Linear): Linear;
}

/**
 * `swapLinearWithSemiSparseLinear(model, { 'mlp.fc1': SemiSparseLinear })`. Throws ERR_AO_CONFIG, nothing changed, where a name is
 * no Linear of the model.
 */
export function swapLinearWithSemiSparseLinear(model: Module, config: Readonly<Record<string, SemiSparseClass>>): void {
  const linears = new Map([...model.namedModules()].filter(([name, m]) => name !== '' && m instanceof Linear));
  const unknown = Object.keys(config).filter((name) => !linears.has(name));
  if (unknown.length > 0) {
    throw new AoError('ERR_AO_CONFIG', `no Linear is named ${unknown.join(', ')}; nothing was changed`, {
      op: 'swapLinearWithSemiSparseLinear',
      module: unknown[0]!,
      fix: `the model has ${[...linears.keys()].slice(0, 8).join(', ')}${linears.size > 8 ? ', ...' : ''}`,
    });
  }
  for (const [name, made] of Object.entries(config))
    replaceModule(model, name, made.fromDense(linears.get(name) as Linear));
}

/** Every SemiSparseLinear and SemiSparseActivationLinear becomes a Linear again. */
export function swapSemiSparseLinearWithLinear(model: Module): void {
  for (const [name, m] of [...model.namedModules()]) {
    if (m instanceof SemiSparseLinear || m instanceof SemiSparseActivationLinear)
      replaceModule(model, name, m.toDense());
  }
}
