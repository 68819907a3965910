// Finding and replacing modules and parameters by their fully qualified names.
import { AoError } from '../errors.ts';
import { isTensor, type Tensor } from '../tensor.ts';
import { isModule, type Module } from './module.ts';

type Bag = Record<string, unknown>;

function parentOf(root: Module, fqn: string): [Bag, string] {
  const keys = fqn.split('.');
  let at: unknown = root;
  for (const key of keys.slice(0, -1)) at = (at as Bag | undefined)?.[key];
  const last = keys[keys.length - 1]!;
  if (typeof at !== 'object' || at === null || !(last in at)) {
    throw new AoError('ERR_AO_CONFIG', `the model has no '${fqn}'`, {
      module: fqn,
      fix: 'list names with namedModules() or namedParameters()',
    });
  }
  return [at as Bag, last];
}

export function getModule(root: Module, fqn: string): Module {
  if (fqn === '') return root;
  const [bag, key] = parentOf(root, fqn);
  const found = bag[key];
  if (isModule(found)) return found;
  throw new AoError('ERR_AO_CONFIG', `'${fqn}' is no module`, { module: fqn, fix: 'list names with namedModules()' });
}

/** Puts another module in its place. */
export function replaceModule(root: Module, fqn: string, module: Module): void {
  getModule(root, fqn);
  const [bag, key] = parentOf(root, fqn);
  bag[key] = module;
  root.named();
}

export function getParameter(root: Module, fqn: string): Tensor {
  const [bag, key] = parentOf(root, fqn);
  const found = bag[key];
  if (isTensor(found)) return found;
  throw new AoError('ERR_AO_CONFIG', `'${fqn}' is no parameter`, {
    tensor: fqn,
    fix: 'list names with namedParameters()',
  });
}

/** Replaces a tensor in every place of the model that holds it, and disposes it; returns the names it had. */
export function replaceTensor(root: Module, old: Tensor, tensor: Tensor): string[] {
  const names: string[] = [];
  for (const [name, t] of [...root.namedParameters({ all: true })]) {
    if (t !== old) continue;
    const [bag, key] = parentOf(root, name);
    bag[key] = tensor;
    names.push(name);
  }
  tensor.kept = true;
  tensor.guard();
  if (old !== tensor) old.dispose();
  return names;
}

/** Puts a tensor under one name; the old one is disposed when no other name holds it. */
export function setParameter(root: Module, fqn: string, tensor: Tensor): void {
  const old = getParameter(root, fqn);
  const [bag, key] = parentOf(root, fqn);
  bag[key] = tensor;
  tensor.kept = true;
  tensor.guard();
  if (old !== tensor && ![...root.namedParameters()].some(([, t]) => t === old)) old.dispose();
}
