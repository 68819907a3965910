/**
 * Conformance of a device's ops. For each sample of each op:
 *   eager    its result and its inputs afterwards equal the reference backend's, within the sample's tolerance
 *   strided  inputs that are views of a larger storage give the bits of eager, and nothing beside them is written
 *   replay   captured and replayed twice it gives the bits of eager
 */
import type { Runtime, Tensor } from '@ao/core';
import { isAoError, isTensor, scope } from '@ao/core';
import type { OpSample, OpSamples } from '@ao/core/samples';
import { fail } from '../close.ts';
import type { Snapshot } from './compare.ts';
import { compareSnapshots } from './compare.ts';
import { between, given, inputs } from './inputs.ts';

export interface Skip {
  /** 'linear', 'linear/float32 one row' or 'linear/float32 one row/replay'. */
  readonly test: string;
  readonly reason: string;
}

export interface ConformanceTest {
  /** op/sample/variant */
  readonly name: string;
  /** The reason, where it is skipped. */
  readonly skip?: string;
  run(): Promise<void>;
}

export interface ConformanceReport {
  readonly device: string;
  readonly passed: readonly string[];
  readonly skipped: readonly Skip[];
  readonly failed: readonly { readonly test: string; readonly message: string }[];
}

export interface ConformanceOptions {
  readonly skip?: readonly Skip[];
}

interface Run {
  readonly results: readonly Snapshot[];
  /** The inputs after the call. */
  readonly inputs: readonly Snapshot[];
  /** The storages of strided inputs after the call. */
  readonly bases: readonly Snapshot[];
}

const list = (result: unknown): Tensor[] => (Array.isArray(result) ? result : [result]).filter(isTensor);

async function snapshot(t: Tensor): Promise<Snapshot> {
  return { shape: [...t.shape], dtype: t.dtype, bits: await t.bits() };
}

async function snapshots(tensors: readonly Tensor[]): Promise<Snapshot[]> {
  return Promise.all(tensors.map(snapshot));
}

async function eager(
  rt: Runtime,
  device: string,
  name: string,
  op: OpSamples['op'],
  sample: OpSample,
  strided: boolean,
): Promise<Run> {
  const held = scope(() => {
    const { make, made, bases } = inputs(rt, device, name, strided);
    const results = list(op(...sample.args(make)));
    return { results, made, bases };
  });
  const run = {
    results: await snapshots(held.results),
    inputs: await snapshots(held.made),
    bases: await snapshots(held.bases),
  };
  for (const t of new Set([...held.results, ...held.made, ...held.bases])) t.dispose();
  return run;
}

async function replayed(
  rt: Runtime,
  device: string,
  name: string,
  op: OpSamples['op'],
  sample: OpSample,
): Promise<Snapshot[][]> {
  const { make, made } = inputs(rt, device, name);
  scope(() => {
    sample.args(make);
    return made;
  });
  const plan = rt.capture((...own) => list(op(...sample.args(given(own)))), ...made);
  const turn = async (): Promise<Snapshot[]> => {
    const outputs = plan.replay(...made);
    const found = await snapshots(outputs);
    for (const t of outputs) t.dispose();
    return found;
  };
  try {
    return [await turn(), await turn()];
  } finally {
    plan.dispose();
    for (const t of made) t.dispose();
  }
}

function requireEqual(
  what: string,
  got: readonly Snapshot[],
  want: readonly Snapshot[],
  tolerance?: OpSample['tolerance'],
): void {
  if (got.length !== want.length) fail(`${what}: ${got.length} tensors, want ${want.length}`);
  want.forEach((w, i) => {
    const problem = compareSnapshots(got[i] as Snapshot, w, tolerance);
    if (problem) fail(`${what} ${i}: ${problem}`);
  });
}

/** Each second element of the storage of a strided input is what `inputs` put there. */
function requireUntouched(bases: readonly Snapshot[]): void {
  bases.forEach(({ bits, dtype }, i) => {
    for (let k = 1; k < bits.length; k += 2) {
      if (!Object.is(dtype.decode(bits[k] as number), between(dtype))) {
        fail(`input ${i}: element ${k} of its storage lies outside the view and was written`);
      }
    }
  });
}

function variants(rt: Runtime, device: string, { op, samples }: OpSamples): Omit<ConformanceTest, 'skip'>[] {
  return samples.flatMap((sample) => {
    const name = `${op.id}/${sample.name}`;
    const onDevice = (strided: boolean) => eager(rt, device, name, op, sample, strided);
    return [
      {
        name: `${name}/eager`,
        run: async () => {
          const want = await eager(rt, 'reference', name, op, sample, false);
          const got = await onDevice(false);
          if (want.results.length === 0) fail('the sample gives no tensor');
          requireEqual('result', got.results, want.results, sample.tolerance);
          requireEqual('input', got.inputs, want.inputs, op.spec.mutates === undefined ? undefined : sample.tolerance);
        },
      },
      {
        name: `${name}/strided`,
        run: async () => {
          if (sample.refusesStrided) {
            await onDevice(true).then(
              () => fail('strided arguments were taken; the sample says they are refused'),
              (error: unknown) => {
                if (!isAoError(error, 'ERR_AO_SHAPE')) throw error;
              },
            );
            return;
          }
          const want = await onDevice(false);
          const got = await onDevice(true);
          requireEqual('result', got.results, want.results);
          requireEqual('input', got.inputs, want.inputs);
          requireUntouched(got.bases);
        },
      },
      {
        name: `${name}/replay`,
        run: async () => {
          const want = await onDevice(false);
          const turns = await replayed(rt, device, name, op, sample);
          turns.forEach((got, i) => requireEqual(`replay ${i + 1}, result`, got, want.results));
        },
      },
    ];
  });
}

/** One test per op, sample and variant. A skip without a reason, or of a test that is not there, is an error. */
export function opConformance(
  rt: Runtime,
  device: string,
  ops: readonly OpSamples[],
  { skip = [] }: ConformanceOptions = {},
): ConformanceTest[] {
  const tests = ops.flatMap((op) => variants(rt, device, op));
  const seen = new Set<string>();
  for (const { name } of tests) {
    if (seen.has(name)) fail(`two samples give the test '${name}'`);
    seen.add(name);
  }
  const hits = (s: Skip, name: string): boolean => name === s.test || name.startsWith(`${s.test}/`);
  for (const s of skip) {
    if (!s.reason) fail(`the skip of '${s.test}' needs a reason`);
    if (!tests.some((t) => hits(s, t.name))) fail(`the skip of '${s.test}' matches no test`);
  }
  return tests.map((t) => {
    const reason = skip.find((s) => hits(s, t.name))?.reason;
    return reason === undefined ? t : { ...t, skip: reason };
  });
}

/** Runs them all, in order; `failed` of the report lists what did not conform. */
export async function runOpConformance(
  rt: Runtime,
  device: string,
  ops: readonly OpSamples[],
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const passed: string[] = [];
  const skipped: Skip[] = [];
  const failed: { test: string; message: string }[] = [];
  for (const { name, skip, run } of opConformance(rt, device, ops, options)) {
    if (skip !== undefined) {
      skipped.push({ test: name, reason: skip });
      continue;
    }
    try {
      await run();
      passed.push(name);
    } catch (error) {
      failed.push({ test: name, message: error instanceof Error ? error.message : String(error) });
    }
  }
  return { device, passed, skipped, failed };
}
