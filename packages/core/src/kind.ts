// Kinds: tensors made of tensors. A kind names its parts and attributes and says how they give values; clone, to, save
// and load follow from that.

import type { DType } from './dtype.ts';
import { AoError } from './errors.ts';
import { intern } from './identity.ts';
import type { WeightParts } from './packed.ts';
import { type Tensor, Wrapped } from './tensor.ts';

/** A kind's form in a safetensors file: torchao's class name, part order, and its attributes as JSON. */
export interface FileForm<T> {
  readonly type: string;
  /** Component names in the order of torchao's `_tensor_data_names`. */
  names(t: T): readonly string[];
  encode(t: T): Readonly<Record<string, unknown>>;
  decode(json: Readonly<Record<string, unknown>>, stored: Readonly<Record<string, Tensor>>): Decoded;
  /** What is stored under the names, where it is not the parts of that name: codes packed to their bits. */
  store?(t: T): Readonly<Record<string, Tensor>>;
  /** Which tensors are written so; all unless given. */
  takes?(t: T): boolean;
}

/** What a file's entry stands for. */
export interface Decoded {
  readonly attrs: unknown;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The kind's parts, where the stored tensors are not they. */
  readonly parts?: Readonly<Record<string, Tensor>>;
}

export interface KindSpec<P extends string, O extends string, A> {
  readonly parts: readonly P[];
  readonly optional?: readonly O[];
  /** Checks attributes that come from a file or a caller; throws ERR_AO_FORMAT. */
  attrs(json: unknown): A;
  /** The values in the tensor's dtype. */
  dequantize(t: WrappedOf<P, O, A>): Tensor;
  /** How linear and embedding read it, and back; absent for kinds that are no weights, null for a tensor that has no such form. */
  weight?(t: WrappedOf<P, O, A>): WeightParts | null;
  fromWeight?(weight: WeightParts, t: WrappedOf<P, O, A>): Readonly<Record<string, Tensor>>;
  /** Parts that training means when it means the tensor: requiresGrad of the tensor is theirs. */
  readonly trains?: readonly (P | O)[];
  /** Parts that a packed weight holds, freed by `prepare`. */
  readonly packs?: readonly (P | O)[];
  readonly file?: FileForm<WrappedOf<P, O, A>>;
  /** Further forms, read always and written where `file` does not take a tensor or they are asked for. */
  readonly otherFiles?: readonly FileForm<WrappedOf<P, O, A>>[];
}

export type WrappedOf<P extends string, O extends string, A> = Wrapped<A> &
  Readonly<Record<P, Tensor>> &
  Readonly<Partial<Record<O, Tensor>>>;

// biome-ignore lint/suspicious/noExplicitAny: the erased form of a kind, as tensors and tables hold it
type AnySpec = KindSpec<string, string, any>;

export interface Kind<T extends Tensor = Tensor> {
  readonly name: string;
  readonly spec: AnySpec;
  readonly partNames: readonly string[];
  fromWeight(weight: WeightParts, t: Tensor): Readonly<Record<string, Tensor>>;
  /** For types only. */
  readonly _tensor?: T;
}

export interface KindOf<P extends string, O extends string, A> extends Kind<WrappedOf<P, O, A>> {
  /** Makes a tensor of this kind; throws ERR_AO_FORMAT where parts or attributes do not fit. */
  make(
    parts: Record<P, Tensor> & Partial<Record<O, Tensor>>,
    attrs: A,
    shape: readonly number[],
    dtype: DType,
  ): WrappedOf<P, O, A>;
  is(t: unknown): t is WrappedOf<P, O, A>;
}

/** Declares a kind under a process-wide name. */
export function defineKind<const P extends string, const O extends string = never, A = unknown>(
  name: string,
  spec: KindSpec<P, O, A>,
): KindOf<P, O, A> {
  return intern('kind', name, () => {
    const partNames = [...spec.parts, ...(spec.optional ?? [])];
    const kind: KindOf<P, O, A> = {
      name,
      spec: spec as unknown as AnySpec,
      partNames,
      fromWeight(weight, t) {
        if (spec.fromWeight === undefined) {
          throw new AoError('ERR_AO_KERNEL', `kind ${name} cannot be unpacked`, { fix: 'give it fromWeight' });
        }
        return spec.fromWeight(weight, t as WrappedOf<P, O, A>);
      },
      make(parts, attrs, shape, dtype) {
        const held: Record<string, Tensor> = {};
        for (const part of partNames) {
          const t = (parts as Record<string, Tensor | undefined>)[part];
          if (t !== undefined) held[part] = t;
          else if ((spec.parts as readonly string[]).includes(part)) {
            throw new AoError('ERR_AO_FORMAT', `a tensor of kind ${name} lacks its part ${part}`, {
              fix: `give all of: ${spec.parts.join(', ')}`,
            });
          }
        }
        const first = Object.values(held)[0]!;
        return new Wrapped(first.rt, kind, held, spec.attrs(attrs), shape, dtype) as WrappedOf<P, O, A>;
      },
      is(t): t is WrappedOf<P, O, A> {
        return typeof t === 'object' && t !== null && (t as Tensor).kind === kind;
      },
    };
    return kind;
  });
}

export function isWrapped(t: Tensor): t is Wrapped {
  return t.kind !== null;
}

/** The forms that a kind has in files, the one it is written in first. */
export function fileForms({ spec }: Kind): readonly FileForm<never>[] {
  return [...(spec.file === undefined ? [] : [spec.file]), ...(spec.otherFiles ?? [])] as FileForm<never>[];
}

/** The form that t is written in unless another is asked for. */
export const fileFormOf = (t: Wrapped): FileForm<never> | undefined =>
  fileForms(t.kind).find((form) => form.takes?.(t as never) ?? true);

/** The kind and form known under a file's class name (torchao's `_type`), or undefined. */
export function kindByFileType(
  kinds: Iterable<Kind>,
  type: string,
): { readonly kind: Kind; readonly form: FileForm<never> } | undefined {
  for (const kind of kinds) {
    const form = fileForms(kind).find((f) => f.type === type);
    if (form !== undefined) return { kind, form };
  }
  return undefined;
}
