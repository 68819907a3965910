// LogitProcessing: the tensors behind penalties, bias and masks of B sequences, and the op call between head and sample_.
// They live on the device: of a captured step only a grammar's mask is written by the host, before each replay.
//   history int32 [B, P]; lengths int32 [B, 2]; bias float32 [V]; ends int32 [E]; mask int32 [B, ceil(V / 32)]
import {
  cast,
  copy_,
  fill_,
  float32,
  int32,
  keep,
  type LogitOptions,
  needsHistory,
  processLogits_,
  type Runtime,
  scope,
  slice,
  type Tensor,
  tensor,
  zeros,
} from '@ao/core';
import type { Sampling } from './options.ts';

export interface LogitShape {
  readonly batch: number;
  readonly vocabSize: number;
  /** Most ids of a sequence. */
  readonly length: number;
  readonly device: string;
}

const NEUTRAL: LogitOptions = {
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  noRepeatNgramSize: 0,
  minNewTokens: 0,
};

export class LogitProcessing {
  readonly #rt: Runtime;
  readonly #options: LogitOptions;
  readonly #history: Tensor | undefined;
  readonly #lengths: Tensor | undefined;
  readonly #bias: Tensor | undefined;
  readonly #ends: Tensor | undefined;
  readonly #mask: Tensor | undefined;

  constructor(rt: Runtime, { batch, vocabSize, length, device }: LogitShape, sampling: Sampling) {
    const { logits, eosTokenIds, responseFormat } = sampling;
    const options = { dtype: int32, device };
    const none = undefined;
    this.#rt = rt;
    this.#options = logits?.options ?? NEUTRAL;
    const text = needsHistory(this.#options);
    this.#history = text ? keep(zeros(rt, [batch, length], options)) : none;
    this.#lengths = text ? keep(zeros(rt, [batch, 2], options)) : none;
    const bias = new Float32Array(vocabSize);
    for (const [id, value] of logits?.bias ?? []) bias[id] = value;
    this.#bias = logits?.bias.size ? keep(tensor(rt, bias, { device })) : none;
    const ends = this.#options.minNewTokens > 0 && eosTokenIds.size > 0;
    this.#ends = ends ? keep(tensor(rt, Int32Array.from(eosTokenIds), options)) : none;
    this.#mask = responseFormat ? keep(zeros(rt, [batch, Math.ceil(vocabSize / 32)], options)) : none;
  }

  /** Sequence b begins with its prompt. */
  begin(b: number, prompt: readonly number[]): void {
    if (this.#history === undefined) return;
    this.#write(slice(row(this.#history, b), 1, 0, prompt.length), Int32Array.from(prompt));
    this.#write(row(this.#lengths!, b), Int32Array.of(prompt.length, prompt.length));
  }

  /** Sequence b has ended: its steps begin again at an empty text. */
  leave(b: number): void {
    if (this.#lengths !== undefined) scope(() => fill_(row(this.#lengths!, b), 0));
    if (this.#mask !== undefined) scope(() => fill_(row(this.#mask!, b), -1));
  }

  /** The tokens that sequence b may choose next. */
  allow(b: number, mask: Int32Array): void {
    scope(() => this.#write(row(this.#mask!, b), mask));
  }

  /** logits [N, V] of all sequences after `token`, or of sequence b alone, whose text ends with its prompt. */
  apply(logits: Tensor, token: Tensor | undefined, b?: number): Tensor {
    const own = (t: Tensor | undefined): Tensor | undefined => (t && b !== undefined ? row(t, b) : t);
    // the head may have given a tensor that others read
    const x = cast(logits, float32);
    const tensors = {
      history: own(this.#history),
      lengths: own(this.#lengths),
      token: this.#history && token,
      bias: this.#bias,
      ends: this.#ends,
      mask: own(this.#mask),
    };
    return processLogits_(x, tensors, this.#options);
  }

  dispose(): void {
    for (const t of [this.#history, this.#lengths, this.#bias, this.#ends, this.#mask]) t?.dispose();
  }

  #write(out: Tensor, values: Int32Array): void {
    scope(() => {
      copy_(out, tensor(this.#rt, values, { shape: out.shape, dtype: int32, device: out.device }));
    });
  }
}

const row = (t: Tensor, b: number): Tensor => slice(t, 0, b, b + 1);
