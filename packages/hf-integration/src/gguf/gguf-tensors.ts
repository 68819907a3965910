// ggufTensors(head, names): which parameters of Hugging Face's model a GGUF holds, and where each one's rows lie.
import type { GgmlType } from './ggml-types.ts';
import { alternatingHeads, type GgufNames } from './names.ts';
import { type GgufHead, type GgufTensor, ggufError } from './parse-gguf.ts';

export interface GgufParameter {
  /** Hugging Face's name. */
  readonly name: string;
  readonly type: GgmlType;
  /** Of the parameter: an expert's is [N, K]. */
  readonly shape: readonly number[];
  /** Of its first row, from the start of the file. */
  readonly offset: number;
  /** Heads whose rows alternate. */
  readonly alternating: number | undefined;
  /** What was added to its values. */
  readonly added: number;
}

const OUTSIDE: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};
/** Tables that stand for fields of config.json. */
const ROPE = /^rope_(freqs|factors_long|factors_short)\.weight$/;

/** Throws ERR_AO_FORMAT for a tensor that the architecture does not have. */
export function ggufTensors(
  head: GgufHead,
  names: GgufNames,
  heads: { readonly heads: number; readonly kvHeads: number },
  file: string,
): GgufParameter[] {
  const inside = new Map(Object.entries(names.inside).map(([ours, theirs]) => [theirs, ours]));
  return [...head.tensors.values()].flatMap((t) => {
    if (ROPE.test(t.name)) return [];
    const stems = stemsOf(t, inside);
    const suffix = t.name.slice(t.name.lastIndexOf('.') + 1);
    if (stems === undefined || !['weight', 'bias'].includes(suffix)) {
      throw ggufError(file, `${names.architecture} has no such tensor here`, t.name);
    }
    const shape = stems.length > 1 || /\.experts\./.test(stems[0]!) ? t.shape.slice(1) : t.shape;
    return stems.map((stem, i): GgufParameter => {
      const name = `${stem}.${suffix}`;
      return {
        name,
        type: t.type,
        shape,
        offset: t.offset + (t.nbytes / stems.length) * i,
        alternating: alternatingHeads(names, name, heads),
        added: stem.endsWith('norm') ? (names.normOffset ?? 0) : 0,
      };
    });
  });
}

/** One name, or one for each expert. */
function stemsOf(t: GgufTensor, inside: ReadonlyMap<string, string>): string[] | undefined {
  const stem = t.name.slice(0, t.name.lastIndexOf('.'));
  const outside = OUTSIDE[stem];
  if (outside !== undefined) return [outside];
  const [, layer, inner = ''] = /^blk\.(\d+)\.(.*)$/.exec(stem) ?? [];
  const found = inside.get(inner);
  if (layer === undefined || found === undefined) return undefined;
  const whole = `model.layers.${layer}.${found}`;
  if (!whole.includes('*')) return [whole];
  if (t.shape.length !== 3) return undefined;
  return Array.from({ length: t.shape[0]! }, (_, e) => whole.replace('*', String(e)));
}
