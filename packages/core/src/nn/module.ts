// Modules: trees of parameters under Hugging Face's names. Parameters are tensor properties, children are module
// properties or lists of modules; a subclass gives forward.
import { shared } from '../identity.ts';
import { isTensor, type Tensor } from '../tensor.ts';

// biome-ignore lint/suspicious/noExplicitAny: any function, for inference
type Forward = (...args: any[]) => any;

const join = (a: string, b: string): string => (a === '' ? b : `${a}.${b}`);

/** By brand, so that a module of another copy of this package counts. */
export function isModule(x: unknown): x is Module {
  return typeof x === 'object' && x !== null && (x as { isModule?: unknown }).isModule === true;
}

export abstract class Module {
  /** Fully qualified name, set by the root's `named()`; errors that come later carry it. */
  path = '';
  declare readonly isModule: true;

  static {
    Object.defineProperty(Module.prototype, 'isModule', { value: true });
  }

  // biome-ignore lint/suspicious/noExplicitAny: the signature belongs to the subclass
  abstract forward(...args: any[]): any;

  /** Runs forward under this module's name. */
  call<F extends Forward>(this: { forward: F; path: string }, ...args: Parameters<F>): ReturnType<F> {
    const s = shared();
    const outer = s.modulePath;
    s.modulePath = this.path;
    try {
      return this.forward(...args);
    } finally {
      s.modulePath = outer;
    }
  }

  /** Direct children by name; lists give `name.0`, `name.1`. */
  *children(): Generator<[string, Module]> {
    for (const [name, value] of Object.entries(this)) {
      if (isModule(value)) yield [name, value];
      else if (Array.isArray(value)) {
        for (const [i, m] of value.entries()) if (isModule(m)) yield [`${name}.${i}`, m];
      }
    }
  }

  /** This module and all below it, with fully qualified names; the root's is ''. */
  *namedModules(prefix = ''): Generator<[string, Module]> {
    yield [prefix, this];
    for (const [name, child] of this.children()) yield* child.namedModules(join(prefix, name));
  }

  /** Parameters with fully qualified names; one that two modules share comes once, under its first name, unless `all`. */
  *namedParameters(options: { readonly all?: boolean } = {}): Generator<[string, Tensor]> {
    const seen = new Set<Tensor>();
    for (const [prefix, module] of this.namedModules()) {
      for (const [name, value] of Object.entries(module)) {
        if (!isTensor(value) || (seen.has(value) && options.all !== true)) continue;
        seen.add(value);
        yield [join(prefix, name), value];
      }
    }
  }

  parameters(): Tensor[] {
    return [...this.namedParameters()].map(([, t]) => t);
  }

  /** Names of this module's own parameters that a backend may pack. */
  packableNames(): readonly string[] {
    return [];
  }

  /**
   * Names that checkpoints have for several parameters below this module in one tensor, so that rules may use them:
   * { 'experts.down_proj': ['experts.0.down_proj.weight', ...] }.
   */
  stackedNames(): Readonly<Record<string, readonly string[]>> {
    return {};
  }

  /** The distinct weights below this module that a backend may pack. */
  packable(): Set<Tensor> {
    const found = new Set<Tensor>();
    for (const [, module] of this.namedModules()) {
      for (const name of module.packableNames()) {
        const t = (module as unknown as Record<string, unknown>)[name];
        if (isTensor(t)) found.add(t);
      }
    }
    return found;
  }

  /** Gives every module its fully qualified name, and returns this. */
  named(): this {
    for (const [name, module] of this.namedModules()) module.path = name;
    return this;
  }

  /** Disposes all parameters. */
  dispose(): void {
    for (const t of this.parameters()) t.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
