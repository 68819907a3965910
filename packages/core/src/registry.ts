// The tables of a runtime, merged from its extensions. The order of `use` does not matter; two entries that claim the same
// place are an error.
import { AoError } from './errors.ts';
import type { AnswerEntry, Entry, Extension, KernelEntry, OverrideEntry, PackerEntry, TapeEntry } from './extension.ts';
import { internTable } from './identity.ts';
import type { Kind } from './kind.ts';
import type { AnyOp } from './op.ts';
import { noTape, type Tape } from './tape.ts';

export interface OpTable {
  readonly overrides: readonly OverrideEntry[];
  /** By device: priority descending, then name. */
  readonly kernels: ReadonlyMap<string, readonly KernelEntry[]>;
  readonly packed: ReadonlyMap<string, readonly KernelEntry[]>;
  readonly vjp?: unknown;
  readonly forward?: AnyOp;
}

export interface Coverage {
  readonly op: string;
  readonly on: string;
  readonly by: string;
}

const EMPTY: OpTable = { overrides: [], kernels: /*@__PURE__*/ new Map(), packed: /*@__PURE__*/ new Map() };

function keyOf(e: Entry): string {
  switch (e.type) {
    case 'kernel':
      return `kernel ${e.name} of ${e.op.id} on ${e.device}, priority ${e.priority}${e.packed ? ', packed' : ''}`;
    case 'override':
      return `override of ${e.op.id} at argument ${e.arg} for kind ${e.kind.name}`;
    case 'answer':
      return `answer to ${e.trait} for config ${e.config}`;
    case 'packer':
      return `packer of ${e.device}`;
    case 'kind':
      return `kind ${e.kind.name}`;
    case 'vjp':
      return `derivative of ${e.op.id}`;
    case 'tape':
      return e.type;
  }
}

function same(a: Entry, b: Entry): boolean {
  if (a.type === 'packer') return a.packer === (b as PackerEntry).packer;
  if (a.type === 'kind') return true;
  if (a.type === 'tape') return a.tape === (b as TapeEntry).tape;
  return a.run === (b as AnswerEntry).run;
}

export class Registry {
  readonly kinds = new Map<string, Kind>();
  readonly packers = new Map<string, PackerEntry['packer']>();
  tape: Tape = noTape;
  /** By id, so that an entry need not import the op. */
  readonly #ops = new Map<string, OpTable>();
  readonly #answers = new Map<string, Map<string, AnswerEntry['run']>>();
  readonly #entries: Entry[];

  constructor(extensions: readonly Extension[]) {
    const seen = new Map<string, { entry: Entry; from: string }>();
    for (const ext of extensions) {
      for (const entry of ext.entries) {
        const key = keyOf(entry);
        const other = seen.get(key);
        if (other === undefined) seen.set(key, { entry, from: ext.name });
        else if (!same(other.entry, entry)) {
          throw new AoError('ERR_AO_CONFIG', `${other.from} and ${ext.name} both give the ${key}`, {
            fix: 'use one of them, or give their kernels different priorities',
          });
        }
      }
    }
    this.#entries = [...seen.values()].map((s) => s.entry);
    for (const entry of this.#entries) this.#add(entry);
  }

  op(op: AnyOp): OpTable {
    return this.#ops.get(op.id) ?? EMPTY;
  }

  answer(trait: string, config: string): AnswerEntry['run'] | undefined {
    return this.#answers.get(trait)?.get(config);
  }

  /** Config types that answer a trait. */
  answering(trait: string): string[] {
    return [...(this.#answers.get(trait)?.keys() ?? [])].sort();
  }

  coverage(): Coverage[] {
    const rows: Coverage[] = [];
    for (const { id, spec } of internTable<AnyOp>('op').values()) {
      if (spec.reference !== undefined) rows.push({ op: id, on: 'reference', by: id });
    }
    for (const e of this.#entries) {
      if (e.type === 'kernel') rows.push({ op: e.op.id, on: e.device, by: e.packed ? `${e.name} (packed)` : e.name });
      if (e.type === 'override') rows.push({ op: e.op.id, on: `kind ${e.kind.name} at ${e.arg}`, by: e.kind.name });
    }
    const text = (r: Coverage) => `${r.op}\0${r.on}\0${r.by}`;
    return rows.sort((a, b) => (text(a) < text(b) ? -1 : 1));
  }

  #add(e: Entry): void {
    if (e.type === 'kind') this.kinds.set(e.kind.name, e.kind);
    else if (e.type === 'tape') this.tape = e.tape;
    else if (e.type === 'packer') this.packers.set(e.device, e.packer);
    else if (e.type === 'answer') {
      const answers = this.#answers.get(e.trait) ?? new Map<string, AnswerEntry['run']>();
      this.#answers.set(e.trait, answers.set(e.config, e.run));
    } else {
      const old = this.op(e.op);
      if (e.type === 'vjp') this.#ops.set(e.op.id, { ...old, vjp: e.run, ...(e.forward && { forward: e.forward }) });
      else if (e.type === 'override') {
        this.kinds.set(e.kind.name, e.kind);
        this.#ops.set(e.op.id, { ...old, overrides: [...old.overrides, e] });
      } else {
        const field = e.packed ? 'packed' : 'kernels';
        const list = [...(old[field].get(e.device) ?? []), e];
        list.sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
        this.#ops.set(e.op.id, { ...old, [field]: new Map(old[field]).set(e.device, list) });
      }
    }
  }
}
