// Training where the device has no room for optimizer state (torchao.optim's CPUOffloadOptimizer): parameters live on their device, a copy of
// each with its state on the host. A hook sends every gradient over as soon as backward has it; step() then steps the copies one by
// one, in the order in which gradients came, and sends each back while the next is stepped.
import { AoError, type Dense, empty, isTensor, keep, type RawArray, type Tensor } from '@ao/core';
import { type HookHandle, registerPostAccumulateGradHook, zeroGrad } from '@ao/core/autograd';
import { AdamW } from './adam.ts';
import type { GroupInput, Optimizer } from './optimizer.ts';

export interface CPUOffloadOptions {
  /** Disposes a gradient once it is on its way: no accumulation over several backwards. */
  readonly offloadGradients?: boolean;
  /** Parameters of fewer values stay on their device with their state; 4096 unless given. */
  readonly minimalSize?: number;
  /** Where the copies live; 'cpu' unless given. */
  readonly host?: string;
}

type OptimizerClass<G extends object, O> = new (params: Iterable<GroupInput<G>>, options?: O) => Optimizer<G>;

interface OffloadGroup {
  readonly params: Tensor[];
  readonly initialLr: number;
}

/** Writes raw codes over a dense tensor, in stream order. */
function overwrite(t: Dense, bits: RawArray): void {
  const { storage, offset, dtype } = t;
  storage.backend.write(
    storage.buffer,
    offset * dtype.itemsize,
    new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength),
  );
  storage.version += 1;
}

/** Copies `from` over `to` in the order of both their backends, past JavaScript's memory; where they have no such way, once it has been read. */
function copyOver(to: Dense, from: Dense): Promise<void> | undefined {
  const [target, source] = [to.storage, from.storage];
  const size = from.dtype.itemsize;
  const direct =
    from.contiguous &&
    target.backend.copyFrom?.(
      source.backend,
      source.buffer,
      from.offset * size,
      target.buffer,
      to.offset * size,
      from.numel * size,
    );
  if (direct !== true) return from.bits().then((bits) => overwrite(to, bits));
  target.version += 1;
  return undefined;
}

export class CPUOffloadOptimizer<G extends object, O extends object> {
  /** The groups as they were given. */
  readonly paramGroups: OffloadGroup[] = [];
  readonly #copies = new Map<Tensor, Dense>();
  readonly #grads = new Map<Dense, Dense>();
  readonly #onHost: Optimizer<G> | undefined;
  readonly #onDevice: Optimizer<G> | undefined;
  /** Of each group: its index in the optimizer on the host and in that on the device. */
  readonly #places: { readonly host: number; readonly device: number }[] = [];
  /** Gradients on their way, in the order in which they came, with what has to be waited for. */
  readonly #queue = new Map<Tensor, Promise<void> | undefined>();
  readonly #hooks: HookHandle[] = [];
  #ready: Promise<unknown>;

  /** Throws ERR_AO_CONFIG for parameters without gradients or that cannot be overwritten, and what `Class` throws. */
  constructor(
    params: Iterable<Tensor> | Iterable<GroupInput<G>>,
    Class: OptimizerClass<G, O> = AdamW as unknown as OptimizerClass<G, O>,
    {
      offloadGradients = false,
      minimalSize = 4096,
      host = 'cpu',
      ...options
    }: CPUOffloadOptions & O = {} as CPUOffloadOptions & O,
  ) {
    const given = [...params];
    const groups = (isTensor(given[0]) ? [{ params: given }] : given) as GroupInput<G>[];
    const hostGroups: GroupInput<G>[] = [];
    const deviceGroups: GroupInput<G>[] = [];
    for (const { params: members, ...rest } of groups) {
      const all = [...members].filter((p) => p.requiresGrad) as Dense[];
      const large = all.filter((p) => p.numel >= minimalSize);
      const small = all.filter((p) => p.numel < minimalSize);
      for (const p of large) this.#copies.set(p, this.#copyOf(p, host));
      const put = (list: GroupInput<G>[], some: readonly Tensor[]): number =>
        some.length === 0 ? -1 : list.push({ ...rest, params: some } as unknown as GroupInput<G>) - 1;
      const copies = large.map((p) => this.#copies.get(p)!);
      this.#places.push({ host: put(hostGroups, copies), device: put(deviceGroups, small) });
      this.paramGroups.push({ params: all, initialLr: 0 });
    }
    if (hostGroups.length + deviceGroups.length === 0)
      throw new AoError('ERR_AO_CONFIG', 'no parameter requires a gradient', { fix: 'set requiresGrad first' });
    const rest = options as unknown as O;
    this.#onHost = hostGroups.length > 0 ? new Class(hostGroups, rest) : undefined;
    this.#onDevice = deviceGroups.length > 0 ? new Class(deviceGroups, rest) : undefined;
    this.paramGroups = this.paramGroups.map(({ params: all }, i) => {
      const { host: h, device } = this.#places[i]!;
      const group = h >= 0 ? this.#onHost!.paramGroups[h] : this.#onDevice?.paramGroups[device];
      return { params: all, initialLr: group?.initialLr ?? 0 };
    });
    const filled = [...this.#copies].map(([p, copy]) => copyOver(copy, p as Dense));
    this.#ready = Promise.all(filled);
    this.#ready.catch(() => undefined); // step() rejects with it
    for (const p of this.#copies.keys())
      this.#hooks.push(registerPostAccumulateGradHook(p, () => this.#send(p, offloadGradients)));
  }

  #copyOf(p: Dense, host: string): Dense {
    if (p.kind === null && p.contiguous && p.device !== host)
      return empty(p.rt, p.shape, { dtype: p.dtype, device: host });
    throw new AoError('ERR_AO_CONFIG', `${p} on ${p.device} cannot be offloaded to ${host}`, {
      fix: 'give dense, contiguous parameters that live on another device than the host',
    });
  }

  #send(p: Tensor, dispose: boolean): void {
    const { grad } = p;
    if (grad === null) return;
    if (dispose && this.#queue.has(p))
      throw new AoError(
        'ERR_AO_CONFIG',
        'a second gradient came before step(): offloadGradients keeps none to add to',
        {
          fix: 'step after each backward, or leave offloadGradients out',
        },
      );
    this.#queue.delete(p);
    const sent = copyOver(this.#gradOf(this.#copies.get(p)!), grad as Dense);
    sent?.catch(() => undefined); // step() rejects with it
    this.#queue.set(p, sent);
    if (!dispose) return;
    grad.dispose();
    p.grad = null;
  }

  /** Where the gradient of a copy arrives. */
  #gradOf(copy: Dense): Dense {
    const known = this.#grads.get(copy);
    if (known !== undefined) return known;
    const grad = keep(empty(copy.rt, copy.shape, { dtype: copy.dtype, device: copy.device }));
    this.#grads.set(copy, grad);
    return grad;
  }

  /** Resolves once every stepped parameter is on its way back to its device. */
  async step(): Promise<void> {
    this.#onDevice?.step();
    await this.#ready;
    const returns: (Promise<void> | undefined)[] = [];
    for (const [p, sent] of this.#queue) {
      const copy = this.#copies.get(p)!;
      await sent;
      copy.grad = this.#gradOf(copy); // the only one on the host that has a gradient now
      this.#onHost!.step();
      copy.grad = null;
      returns.push(copyOver(p as Dense, copy));
    }
    this.#queue.clear();
    await Promise.all(returns);
  }

  /** Disposes the gradients on the device; those on their way are stepped. */
  zeroGrad(): void {
    for (const { params } of this.paramGroups) zeroGrad(params);
  }

  /** Sets the rate of all groups, or of one. */
  setLr(lr: number, group?: number): void {
    for (const [i, { host, device }] of this.#places.entries()) {
      if (group !== undefined && group !== i) continue;
      if (host >= 0) this.#onHost!.setLr(lr, host);
      if (device >= 0) this.#onDevice!.setLr(lr, device);
    }
  }

  /** Names of the two optimizers' state dicts, after `offloaded.` and `on-device.`. */
  stateDict(): Map<string, Tensor> {
    const dict = new Map<string, Tensor>();
    for (const [prefix, optimizer] of this.#both())
      for (const [name, t] of optimizer.stateDict()) dict.set(`${prefix}.${name}`, t);
    return dict;
  }

  /** As Optimizer.loadStateDict, for a dict of the same parameters and minimalSize. */
  async loadStateDict(dict: ReadonlyMap<string, Tensor>): Promise<void> {
    const both = this.#both();
    const stray = [...dict.keys()].find((name) => !both.some(([prefix]) => name.startsWith(`${prefix}.`)));
    if (stray !== undefined)
      throw new AoError(
        'ERR_AO_FORMAT',
        `${stray} belongs to no optimizer here; there are ${both.map(([n]) => n).join(', ')}`,
        {
          tensor: stray,
          fix: 'load what was saved with the same parameters and minimalSize',
        },
      );
    for (const [prefix, optimizer] of both) {
      const own = [...dict].filter(([name]) => name.startsWith(`${prefix}.`));
      await optimizer.loadStateDict(new Map(own.map(([name, t]) => [name.slice(prefix.length + 1), t])));
    }
  }

  /** Takes the hooks off and frees the copies; the parameters stay. */
  dispose(): void {
    for (const hook of this.#hooks) hook.remove();
    for (const t of [...this.#copies.values(), ...this.#grads.values()]) t.dispose();
  }

  #both(): [prefix: string, optimizer: Optimizer<G>][] {
    const all: [string, Optimizer<G> | undefined][] = [
      ['offloaded', this.#onHost],
      ['on-device', this.#onDevice],
    ];
    return all.filter((x): x is [string, Optimizer<G>] => x[1] !== undefined);
  }
}
