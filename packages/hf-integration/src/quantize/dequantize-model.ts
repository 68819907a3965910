// model.dequantize(): every quantized weight becomes a dense tensor of the model's dtype, w = dequantize(codes), one at a
// time; packed weights are unpacked, and what replaces them is packed. The report says what each was and how much it grew.
import { fileFormOf, isWrapped, type Module, prepare, stateDict, type Tensor } from '@ao/core';
import { dequantize_, modelBytes, tensorBytes } from '@ao/quantization';
import { UpcastTensor } from '../upcast.ts';

export interface DequantizeRow {
  readonly fqn: string;
  /** Other names of the same tensor. */
  readonly tied: readonly string[];
  readonly shape: readonly number[];
  /** The class that files have it as. */
  readonly type: string;
  /** What it is now. */
  readonly dtype: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface DequantizeReport {
  readonly rows: readonly DequantizeRow[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** A weight that only waits in a narrower float dtype is not quantized: its numbers are those of the checkpoint. */
function isQuantizedTensor(t: Tensor): boolean {
  return t.kind !== null && !UpcastTensor.is(t);
}

export function isQuantizedModel(model: Module): boolean {
  return [...stateDict(model).values()].some(isQuantizedTensor);
}

export async function dequantizeModel(model: Module): Promise<DequantizeReport> {
  const bytesBefore = modelBytes(model);
  const quantized = [...stateDict(model)].filter(([, t]) => isQuantizedTensor(t));
  const rows: Omit<DequantizeRow, 'bytesAfter'>[] = [];
  for (const [fqn, t] of quantized) {
    const { shape, dtype } = t;
    const type = isWrapped(t) ? (fileFormOf(t)?.type ?? t.kind.name) : '';
    const before = { type, dtype: dtype.name, bytesBefore: tensorBytes(t) };
    const names = await dequantize_(model, { filterFn: (name) => name === fqn });
    rows.push({ fqn, tied: names.filter((name) => name !== fqn), shape, ...before });
  }
  await prepare(model);
  const now = stateDict(model);
  return {
    rows: rows.map((row) => ({ ...row, bytesAfter: tensorBytes(now.get(row.fqn)!) })),
    bytesBefore,
    bytesAfter: modelBytes(model),
  };
}
