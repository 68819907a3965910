// Random Hadamard rotations as in QuaRot (arXiv 2404.00456) and SpinQuant (arXiv 2405.16406): outliers are spread over all columns
// before rounding, and the model's outputs stay what they are.
//   R1  the residual stream h becomes h R1: embeddings E R1, readers W diag(g) R1 with norms' weights g folded in, writers R1^T W
//   R2  values of attention heads: rows R2^T V, columns O R2
//   R4  what has no norm before it is rotated at each call: down (x R4) W R4
// R1 and R2 are only in the weights: files and speed stay as they were. A tied head gets a tensor of its own.
import {
  AoError,
  cast,
  type Dense,
  dequantize,
  float32,
  getModule,
  type Module,
  mul,
  packWeight,
  replaceTensor,
  reshape,
  scope,
  type Tensor,
  tensor,
  transpose,
  unpackedOf,
} from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import type { Rules } from '../rules/rules.ts';
import { baseAlgorithm, type CalibrationAlgorithm } from './algorithm.ts';
import { parameterOf, replaceValues, weightOfModule } from './fold.ts';
import { type Rotation, rotated, rotation } from './rotation.ts';
import type { ModelStructure, Residual, ValueHeads } from './structure.ts';

export interface RotateOptions {
  /** The residual stream. Default true. */
  readonly r1?: boolean;
  /** Values of attention heads. Default true. */
  readonly r2?: boolean;
  /** Inputs of down projections, at each call: costs time, and files with it are ours alone. Default false. */
  readonly r4?: boolean;
  /** Default 0. */
  readonly seed?: number;
}

/** Rotates a model, then runs `base`: a config (rounded to nearest), or another algorithm such as gptq(config). */
export function rotate(
  base: AoConfig | Rules | CalibrationAlgorithm,
  options: RotateOptions = {},
): CalibrationAlgorithm {
  const inner = baseAlgorithm(base);
  return {
    ...inner,
    name: inner.name === 'rtn' ? 'rotate' : `rotate+${inner.name}`,
    prepare: async (model, structure) => {
      await inner.prepare?.(model, structure);
      return { online: await rotateModel(model, structure, options) };
    },
  };
}

/** Linears by name that are to meet rotated inputs, and by what. */
export type Online = ReadonlyMap<string, Rotation>;

/**
 * Turns a model's weights in place; its outputs stay the same up to float32 rounding. Gives what R4 still has to turn, empty
 * without it. Throws ERR_AO_CONFIG, nothing changed, where the structure does not allow it.
 */
export async function rotateModel(
  model: Module,
  structure: ModelStructure | undefined,
  options: RotateOptions = {},
): Promise<Online> {
  const { r1 = true, r2 = true, r4 = false, seed = 0 } = options;
  const { residual, heads = [], online = [] } = structure ?? {};
  if (r1 && residual === undefined) throw cannot('r1', 'a residual stream that norms alone read');
  if (r2 && heads.length === 0) throw cannot('r2', 'attention heads with value and output projections of their own');
  if (r4 && online.length === 0) throw cannot('r4', 'linears to rotate online');
  check(model, structure as ModelStructure);
  const [{ rt, device }] = model.parameters() as [Tensor];
  if (r1 && residual !== undefined) {
    structure?.untie?.();
    await turnResidual(model, residual, rotation(rt, residual.size, seed, device));
  }
  if (r2) for (const one of heads) await turnHeads(model, one, rotation(rt, one.headDim, seed + 1, device));
  const turns = new Map<number, Rotation>();
  return new Map(
    (r4 ? online : []).map((name) => {
      const size = weightOfModule(model, name).shape[1] as number;
      const turn = turns.get(size) ?? rotation(rt, size, seed + 2, device);
      turns.set(size, turn);
      return [name, turn];
    }),
  );
}

function cannot(option: string, what: string): AoError {
  return new AoError('ERR_AO_CONFIG', `rotate: ${option} needs ${what}, and the model's structure tells of none`, {
    op: 'calibrate',
    fix: `pass { ${option}: false }, or a structure`,
  });
}

function check(model: Module, { residual, heads = [] }: ModelStructure): void {
  const linears = [...(residual?.reads.flatMap((r) => r.readers) ?? []), ...(residual?.writes ?? [])];
  for (const name of [...linears, ...heads.flatMap((h) => [h.value, h.output])]) {
    const { kind } = weightOfModule(model, name);
    if (kind === null) continue;
    throw new AoError('ERR_AO_CONFIG', `rotate: the weight is quantized already (${kind.name})`, {
      op: 'calibrate',
      module: name,
      fix: 'rotate the model that it was made from',
    });
  }
}

/** A weight as float32, then as `change` makes it. */
async function changed(model: Module, old: Tensor, change: (w: Tensor) => Tensor): Promise<void> {
  const made = scope(() => cast(change(cast(dequantize(unpackedOf(old)), float32)), old.dtype)) as Dense;
  const packed = old.packed !== null;
  replaceTensor(model, old, made);
  if (packed) packWeight(made.rt, made);
  await made.rt.backend(made.device).sync();
}

async function turnResidual(model: Module, { embeddings, reads, writes }: Residual, turn: Rotation): Promise<void> {
  for (const name of embeddings) await changed(model, weightOfModule(model, name), (e) => rotated(e, turn));
  for (const { norm, readers } of reads) {
    const g = weightOfModule(model, norm);
    const { offset = 0 } = getModule(model, norm) as { offset?: number };
    const gain = Float32Array.from(await g.data(), (v) => Number(v) + offset);
    for (const reader of readers) {
      await changed(model, weightOfModule(model, reader), (w) =>
        rotated(mul(w, tensor(w.rt, gain, { device: w.device })), turn),
      );
    }
    replaceValues(model, g, new Float32Array(gain.length).fill(1 - offset));
  }
  // R^T W = (W^T R)^T, and a bias is a column of W
  for (const name of writes) {
    await changed(model, weightOfModule(model, name), (w) => transpose(rotated(transpose(w, 0, 1), turn), 0, 1));
    const bias = parameterOf(model, name, 'bias');
    if (bias !== undefined) await changed(model, bias, (b) => rotated(b, turn));
  }
}

async function turnHeads(model: Module, { value, output, headDim }: ValueHeads, turn: Rotation): Promise<void> {
  const columns = (w: Tensor): Tensor => reshape(rotated(reshape(w, [-1, headDim]), turn), w.shape);
  await changed(model, weightOfModule(model, value), (w) => transpose(columns(transpose(w, 0, 1)), 0, 1));
  const bias = parameterOf(model, value, 'bias');
  if (bias !== undefined) await changed(model, bias, columns);
  await changed(model, weightOfModule(model, output), columns);
}
