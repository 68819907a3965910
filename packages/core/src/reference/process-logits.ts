// processLogits_ in the order its declaration gives, row by row.
import { AoError } from '../errors.ts';
import type { OnDevice } from '../extension.ts';
import type { LogitArgs, LogitOptions } from '../ops/process-logits.ts';
import type { Dense } from '../tensor.ts';
import { store, valuesOf } from './memory.ts';

export function processLogitsReference(out: Dense, ...args: OnDevice<LogitArgs>): void {
  const [, history, lengths, token, bias, ends, mask, options] = args;
  const [rows, V] = out.shape as [number, number];
  const x = Float32Array.from(valuesOf(out));
  const text = history && Int32Array.from(valuesOf(history));
  const counts = lengths && Int32Array.from(valuesOf(lengths));
  const last = token && valuesOf(token);
  const added = bias && valuesOf(bias);
  const bits = mask && valuesOf(mask);
  const capacity = history?.shape[1] ?? 0;
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * V, (r + 1) * V);
    if (added) row.forEach((v, i) => (row[i] = v + added[i]!));
    if (text && counts) {
      const ids = text.subarray(r * capacity, (r + 1) * capacity);
      if (last) {
        if (counts[2 * r + 1]! >= capacity)
          throw new AoError('ERR_AO_KERNEL', `the history of row ${r} is full: ${capacity} ids`, {
            op: 'process_logits_',
          });
        ids[counts[2 * r + 1]!++] = last[r]!;
      }
      penalize(row, ids.subarray(0, counts[2 * r + 1]!), counts[2 * r]!, options);
      const fresh = counts[2 * r + 1]! - counts[2 * r]!;
      if (ends && fresh < options.minNewTokens)
        for (const id of valuesOf(ends)) if (id >= 0 && id < V) row[id] = -Infinity;
    }
    if (bits) {
      const words = Math.ceil(V / 32);
      for (let i = 0; i < V; i++) if (((bits[r * words + (i >> 5)]! >> (i & 31)) & 1) === 0) row[i] = -Infinity;
    }
  }
  store(out, x);
  if (text) store(history, text);
  if (counts) store(lengths!, counts);
}

function penalize(row: Float32Array, ids: Int32Array, prompt: number, options: LogitOptions): void {
  const { repetitionPenalty, frequencyPenalty, presencePenalty, noRepeatNgramSize: n } = options;
  const f32 = Math.fround;
  const seen = new Map<number, number>();
  for (const [i, id] of ids.entries()) {
    if (id < 0 || id >= row.length)
      throw new AoError('ERR_AO_KERNEL', `id ${id} of the history is outside 0 .. ${row.length - 1}`, {
        op: 'process_logits_',
      });
    seen.set(id, (seen.get(id) ?? 0) + (i < prompt ? 0 : 1));
  }
  for (const [id, count] of seen) {
    const v = row[id]!;
    let x = f32(v < 0 ? v * f32(repetitionPenalty) : v / f32(repetitionPenalty));
    if (count > 0) {
      x = f32(x - f32(f32(frequencyPenalty) * count));
      x = f32(x - f32(presencePenalty));
    }
    row[id] = x;
  }
  if (n === 0) return;
  const start = ids.length - n + 1;
  for (let i = 0; i < start; i++) {
    let j = 0;
    while (j < n - 1 && ids[i + j] === ids[start + j]) j++;
    if (j === n - 1) row[ids[i + j]!] = -Infinity;
  }
}
