/** Inputs of op samples: the same calls give the same values for each device and variant, seeded by the sample's name. */
import type { DType, Runtime, Tensor } from '@ao/core';
import { float32, numel, select, tensor } from '@ao/core';
import type { FillOptions, Make } from '@ao/core/samples';

/** FNV-1a of the name, stepped by a multiplicative congruence; 32 bits, enough to fill samples. */
function stream(name: string): () => number {
  let s = 2166136261;
  for (let i = 0; i < name.length; i++) s = Math.imul(s ^ name.charCodeAt(i), 16777619);
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(s ^ (s >>> 16), 0x45d9f3b);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

function values(n: number, { fill = 'normal', low = 0, high = 1 }: FillOptions, next: () => number): Float64Array {
  if (typeof fill !== 'string') return Float64Array.from({ length: n }, (_, i) => fill[i % fill.length] as number);
  return Float64Array.from({ length: n }, () => {
    if (fill === 'uniform') return low + (high - low) * next();
    if (fill === 'integer') return Math.floor(low + (high - low) * next());
    return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  });
}

/** What lies between the elements of a strided input: a kernel that reads it shows. */
export const between = (dtype: DType): number =>
  dtype.category === 'float' ? NaN : dtype.category === 'bool' ? 1 : 77;

export interface Inputs {
  readonly make: Make;
  /** In the order of the calls. */
  readonly made: Tensor[];
  /** The storage of strided inputs, for a look at what lies between. */
  readonly bases: Tensor[];
}

/** `strided`: every input of rank 1 and above is each second element of a larger storage. */
export function inputs(rt: Runtime, device: string, name: string, strided = false): Inputs {
  const next = stream(name);
  const made: Tensor[] = [];
  const bases: Tensor[] = [];
  const make: Make = (shape, options = {}) => {
    const dtype = options.dtype ?? float32;
    const x = values(numel(shape), options, next);
    let t: Tensor;
    if (strided && shape.length > 0) {
      const wide = new Float64Array(2 * x.length).fill(between(dtype));
      x.forEach((v, i) => {
        wide[2 * i] = v;
      });
      const base = tensor(rt, wide, { dtype, device, shape: [...shape, 2] });
      bases.push(base);
      t = select(base, shape.length, 0);
    } else {
      t = tensor(rt, x, { dtype, device, shape });
    }
    made.push(t);
    return t;
  };
  return { make, made, bases };
}

/** Hands out given tensors in place of new ones: inside a capture nothing can be made from numbers. */
export function given(tensors: readonly Tensor[]): Make {
  let i = 0;
  return () => tensors[i++] as Tensor;
}
