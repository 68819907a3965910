// One op call, in this order: check arguments -> autograd, where one requires a gradient -> shapes (meta) -> view -> packed weight -> the kind's override -> the
// device's kernel by priority and `when` -> decompose -> an error that lists what was there.
import { AoError } from './errors.ts';
import type { KernelEntry, OverrideEntry } from './extension.ts';
import { shared } from './identity.ts';
import type { AnyOp, Args, Meta } from './op.ts';
import type { RuntimeImpl } from './runtime.ts';
import { Dense, isTensor, numel, type Tensor } from './tensor.ts';
import { unpackedOf } from './unpack.ts';

interface Scan {
  device: string;
  wrapped: boolean;
  packed: boolean;
  grad: boolean;
}

function scanTensor(rt: RuntimeImpl, op: AnyOp, t: Tensor, s: Scan): void {
  t.check(op.id);
  if (t.rt !== rt) {
    throw new AoError('ERR_AO_DEVICE', `${op.id} got tensors of two runtimes`, {
      op: op.id,
      fix: 'make all tensors of a computation with one runtime',
    });
  }
  if (s.device === '') s.device = t.device;
  else if (s.device !== t.device) {
    throw new AoError('ERR_AO_DEVICE', `${op.id} got tensors on ${s.device} and ${t.device}`, {
      op: op.id,
      fix: `move one of them: await to(t, '${s.device}')`,
    });
  }
  if (t.kind !== null) s.wrapped = true;
  if (t.packed !== null) s.packed = true;
  if (t.requiresGrad) s.grad = true;
}

function scan(rt: RuntimeImpl, op: AnyOp, args: Args): Scan {
  const s: Scan = { device: '', wrapped: false, packed: false, grad: false };
  for (const a of args) {
    if (isTensor(a)) scanTensor(rt, op, a, s);
    else if (Array.isArray(a)) for (const b of a) if (isTensor(b)) scanTensor(rt, op, b, s);
  }
  return s;
}

const allPacked = (a: unknown): boolean =>
  Array.isArray(a) ? a.every((t) => isTensor(t) && t.packed !== null) : isTensor(a) && a.packed !== null;

export function findOverride(op: AnyOp, entries: readonly OverrideEntry[], args: Args): OverrideEntry | undefined {
  let found: OverrideEntry | undefined;
  for (const e of entries) {
    const a = args[e.arg];
    const hit = Array.isArray(a) ? a.some((t) => isTensor(t) && t.kind === e.kind) : isTensor(a) && a.kind === e.kind;
    if (!hit) continue;
    if (found !== undefined && found.kind !== e.kind) {
      throw new AoError('ERR_AO_KERNEL', `${op.id} matches kinds ${found.kind.name} and ${e.kind.name}`, {
        op: op.id,
        fix: 'dequantize one of the arguments',
      });
    }
    found ??= e;
  }
  return found;
}

function select(entries: readonly KernelEntry[] | undefined, args: Args): KernelEntry | undefined {
  if (entries === undefined) return undefined;
  for (const e of entries) if (e.when === undefined || e.when(...args)) return e;
  return undefined;
}

function allocate(rt: RuntimeImpl, device: string, m: Meta): Dense {
  return new Dense(rt, rt.storage(device, numel(m.shape) * m.dtype.itemsize), m.shape, m.dtype);
}

const isContiguous = (a: unknown): boolean =>
  !isTensor(a) || a.kind !== null || a.packed !== null || (a as Dense).contiguous;

function allContiguous(args: Args): boolean {
  for (const a of args) if (Array.isArray(a) ? !a.every(isContiguous) : !isContiguous(a)) return false;
  return true;
}

/** Arguments with every strided tensor replaced by a contiguous copy, which is added to `temporaries`. */
function contiguousArgs(rt: RuntimeImpl, args: Args, temporaries: Dense[]): Args {
  const fix = (a: unknown): unknown => {
    if (!isTensor(a) || a.kind !== null) return a;
    const d = a as Dense;
    if (d.packed !== null || d.contiguous) return d;
    const copy = rt.contiguous(d);
    temporaries.push(copy);
    return copy;
  };
  return args.map((a) => (Array.isArray(a) ? a.map(fix) : fix(a)));
}

function runKernel(
  rt: RuntimeImpl,
  op: AnyOp,
  e: Pick<KernelEntry, 'run' | 'strided'>,
  device: string,
  metas: Meta | Meta[],
  args: Args,
): unknown {
  const backend = rt.backend(device);
  const temporaries: Dense[] = [];
  const ready = e.strided || allContiguous(args) ? args : contiguousArgs(rt, args, temporaries);
  const { mutates } = op.spec;
  let out: Dense | Dense[];
  if (mutates !== undefined) {
    const written = [mutates].flat().flatMap((i) => (args[i] as Dense | undefined) ?? []);
    for (const t of written) t.storage.version += 1;
    out = written[0]!;
  } else {
    out = Array.isArray(metas) ? metas.map((m) => allocate(rt, device, m)) : allocate(rt, device, metas);
  }
  rt.recording?.retain(ready);
  const outer = rt.currentOp;
  rt.currentOp = op.id;
  try {
    if (backend.execute !== undefined && rt.recording !== null) {
      const [to, from] = [rt.recording.alias(out), rt.recording.alias(ready)];
      backend.execute(() => e.run(to, ...from));
    } else e.run(out, ...ready);
  } catch (error) {
    if (mutates === undefined) for (const t of Array.isArray(out) ? out : [out]) t.dispose();
    throw error;
  } finally {
    rt.currentOp = outer;
    for (const t of temporaries) t.dispose();
  }
  return out;
}

/** Runs an op; the only place where a call is routed. */
export function dispatch(rt: RuntimeImpl, op: AnyOp, args: Args): unknown {
  const spec = op.spec;
  const s = scan(rt, op, args);
  const mode = shared();
  if ((s.grad && mode.noGrad === 0) || mode.autocast !== null) return rt.tape.record(rt, op, args);
  const metas = spec.meta(...args) as Meta | Meta[];
  const table = rt.registry.op(op);
  if (s.packed) {
    const { weightArg } = spec;
    if (weightArg !== undefined && allPacked(args[weightArg])) {
      const e = select(table.packed.get(s.device), args);
      if (e !== undefined) return runKernel(rt, op, e, s.device, metas, args);
    }
    if (spec.decompose !== undefined && weightArg !== undefined && Array.isArray(args[weightArg])) {
      // packed weights among others of a kind: a rule of that kind for the whole list comes first
      const rule = s.wrapped ? findOverride(op, table.overrides, args) : undefined;
      return rule === undefined ? spec.decompose(...args) : rule.run(...args);
    }
    const plain = args.map((a) => (isTensor(a) && a.packed !== null ? unpackedOf(a) : a));
    rt.say(
      {
        level: 'info',
        code: 'unpacked',
        message: `${op.id} has no packed form on ${s.device}; it unpacks its weight at each call`,
      },
      op.id,
    );
    return dispatch(rt, op, plain);
  }
  if (s.wrapped) {
    const e = findOverride(op, table.overrides, args);
    if (e !== undefined) return e.run(...args);
    if (spec.decompose !== undefined) return spec.decompose(...args);
    const kinds = args.flatMap((a) => (Array.isArray(a) ? a : [a])).filter((a) => isTensor(a) && a.kind !== null);
    throw new AoError(
      'ERR_AO_KERNEL',
      `${op.id} has no rule for kind ${kinds.map((t) => (t as Tensor).kind?.name).join(', ')}`,
      {
        op: op.id,
        fix: 'call dequantize(t) first, or add an override',
      },
    );
  }
  if (spec.view !== undefined) return spec.view(...args);
  const kernels = table.kernels.get(s.device);
  const own = s.device === 'reference' ? spec.reference : undefined;
  const e = select(kernels, args) ?? (own && { run: own, strided: false });
  if (e !== undefined) return runKernel(rt, op, e, s.device, metas, args);
  if (spec.decompose !== undefined) return spec.decompose(...args);
  const dtypes = args.filter(isTensor).map((t) => t.dtype.name);
  const refused = kernels === undefined ? 'no kernel there' : `refused by ${kernels.map((k) => k.name).join(', ')}`;
  throw new AoError('ERR_AO_KERNEL', `${op.id} cannot run on ${s.device} for ${dtypes.join(', ')}: ${refused}`, {
    op: op.id,
    fix: `cast the arguments, move them to another device, or add a kernel for '${s.device}'`,
  });
}
