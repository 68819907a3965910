// Grid: the values a quantized row can take, group by group: w = q s, (q - z) s, q s + z, or a table's value in the place of q.
// Read from any kind that tells its WeightFormat, and written back as codes, scales and zero points of that kind.
import {
  AoError,
  type Dense,
  int8,
  isWrapped,
  packInt4,
  roundHalfEven,
  scope,
  type Tensor,
  tensor,
  uint8,
  type WeightFormat,
  type WeightParts,
  Wrapped,
} from '@ao/core';

export class Grid {
  readonly format: WeightFormat;
  /** [N, K / groupSize], row-major. */
  readonly scale: Float32Array;
  readonly zero: Float32Array | null;
  /** Of a code. */
  readonly bits: number;
  /** Codes by ascending value, where a table says the values. */
  readonly #order: Uint8Array | null;

  private constructor(format: WeightFormat, scale: Float32Array, zero: Float32Array | null, bits: number) {
    this.format = format;
    this.scale = scale;
    this.zero = zero;
    this.bits = format.bits ?? bits;
    const { table } = format;
    this.#order =
      table === undefined
        ? null
        : Uint8Array.from(
            [...table.keys()].filter((c) => !Number.isNaN(table[c])).sort((a, b) => table[a]! - table[b]!),
          );
  }

  /** Of a weight quantized to nearest; `bits` of a code where the format does not tell. */
  static async of(t: Tensor, bits: number, fqn: string): Promise<Grid> {
    const parts = partsOf(t, fqn);
    const values = async (part: Dense | undefined): Promise<Float32Array> =>
      Float32Array.from((await part?.data()) ?? []);
    const { scale, zero } = parts;
    const format = parts.table === undefined ? parts.format : { ...parts.format, table: await values(parts.table) };
    const scales =
      scale === undefined
        ? new Float32Array(format.N * Math.ceil(format.K / format.groupSize)).fill(1)
        : await values(scale);
    return new Grid(format, scales, zero === undefined ? null : await values(zero), bits);
  }

  /** Groups of a row. */
  get groups(): number {
    return Math.ceil(this.format.K / this.format.groupSize);
  }

  /** Takes the scales of another grid, of one group alone, as group g. */
  setGroup(g: number, one: Grid): void {
    for (let n = 0; n < this.format.N; n++) {
      this.scale[n * this.groups + g] = one.scale[n] as number;
      if (this.zero !== null && one.zero !== null) this.zero[n * this.groups + g] = one.zero[n] as number;
    }
  }

  /** The code nearest to w in group p (= row * groups + group), as integers are stored; a table's code is its index. */
  code(w: number, p: number): number {
    const s = this.scale[p] as number;
    const z = this.zero === null ? 0 : (this.zero[p] as number);
    const domain = this.format.zeroDomain;
    const v = s === 0 ? 0 : (domain === 'float' ? w - z : w) / s + (domain === 'int' ? z : 0);
    if (this.#order !== null) return nearest(v, this.format.table as Float32Array, this.#order);
    const half = 2 ** (this.bits - 1);
    const q = roundHalfEven(v);
    return q < -half ? -half : q > half - 1 ? half - 1 : q;
  }

  /** The value of a code in group p. */
  value(code: number, p: number): number {
    const s = this.scale[p] as number;
    const z = this.zero === null ? 0 : (this.zero[p] as number);
    const q = this.format.table === undefined ? code : (this.format.table[code] as number);
    if (this.format.zeroDomain === 'int') return (q - z) * s;
    return this.format.zeroDomain === 'float' ? q * s + z : q * s;
  }

  /** `t` with these codes [N, K] and this grid's scales; what else it holds moves over. */
  assemble(t: Tensor, codes: Int8Array): Tensor {
    const made = scope(() => this.#assembled(t as Wrapped, codes));
    for (const [name, part] of Object.entries((t as Wrapped).held)) if (made.held[name] !== part) part.dispose();
    return made;
  }

  #assembled(t: Wrapped, codes: Int8Array): Wrapped {
    const { scale, zero } = partsOf(t, '');
    const { format } = this;
    const { rt, device } = t;
    const { N, K } = format;
    const plain = tensor(rt, codes, { shape: [N, K], dtype: format.table === undefined ? int8 : uint8, device });
    const like = (values: Float32Array, old: Dense): Dense =>
      tensor(rt, values, { shape: [N, this.groups], dtype: old.dtype, device });
    const parts = t.kind.fromWeight(
      {
        format,
        codes: format.code === 'int4' ? (packInt4(plain) as Dense) : plain,
        ...(scale !== undefined && { scale: like(this.scale, scale) }),
        ...(zero !== undefined && { zero: like(this.zero as Float32Array, zero) }),
      },
      t,
    );
    return new Wrapped(rt, t.kind, { ...t.parts, ...parts }, t.attrs, t.shape, t.dtype);
  }
}

function partsOf(t: Tensor, fqn: string): WeightParts {
  const parts = isWrapped(t) ? t.kind.spec.weight?.(t as never) : null;
  if (parts != null && !['float32', 'bfloat16', 'float16'].includes(parts.format.code)) return parts;
  throw new AoError('ERR_AO_CONFIG', `a weight of kind ${t.kind?.name ?? 'dense'} has no codes to choose`, {
    op: 'calibrate',
    tensor: fqn,
    fix: 'use a weight-only scheme, e.g. int4WeightOnly() or intxWeightOnly()',
  });
}

function nearest(v: number, table: Float32Array, order: Uint8Array): number {
  let low = 0;
  let high = order.length - 1;
  while (high - low > 1) {
    const mid = (low + high) >> 1;
    if ((table[order[mid] as number] as number) <= v) low = mid;
    else high = mid;
  }
  const [a, b] = [order[low] as number, order[high] as number];
  return Math.abs((table[a] as number) - v) <= Math.abs((table[b] as number) - v) ? a : b;
}
