// Tensors as text: values in nested brackets, the middle of long dimensions left out, then shape, dtype and kind.
import type { Tensor } from './tensor.ts';

const EDGE = 3;
const LIMIT = 1000;

function number(x: number, digits: number): string {
  if (!Number.isFinite(x)) return String(x).replace('Infinity', 'inf').replace('NaN', 'nan');
  if (Number.isInteger(x) && Math.abs(x) < 1e7) return String(x);
  const a = Math.abs(x);
  return a >= 1e5 || a < 1e-4 ? x.toExponential(digits) : x.toFixed(digits);
}

function rows(values: ArrayLike<number>, shape: readonly number[], at: number, indent: string, full: boolean): string {
  if (shape.length === 0) return number(values[at]!, 4);
  const [n, ...rest] = shape as [number, ...number[]];
  const step = rest.reduce((p, d) => p * d, 1);
  const shown: string[] = [];
  for (let i = 0; i < n; i++) {
    if (!full && n > 2 * EDGE && i === EDGE) {
      shown.push('...');
      i = n - EDGE - 1;
      continue;
    }
    shown.push(rows(values, rest, at + i * step, `${indent} `, full));
  }
  const gap = rest.length === 0 ? ', ' : `,${'\n'.repeat(rest.length)}${indent} `;
  return `[${shown.join(gap)}]`;
}

/** Reads the tensor synchronously; where it cannot be read (inside a capture) only the facts are shown. */
export function formatTensor(t: Tensor): string {
  const kind = t.kind === null ? '' : `, kind=${t.kind.name}${t.packed === null ? '' : ' (packed)'}`;
  const facts = `shape=[${t.shape}], dtype=${t.dtype.name}, device=${t.device}${kind}`;
  let body: string;
  try {
    body = rows(t.dataSync(), t.shape, 0, ' '.repeat(7), t.numel <= LIMIT && t.shape.every((n) => n <= 12));
  } catch {
    return `Tensor(${facts})`;
  }
  return `Tensor(${body}, ${facts})`;
}
