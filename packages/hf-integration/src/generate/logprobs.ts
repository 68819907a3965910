// LogProbs: of each new token its log-probability and those of the k likeliest, computed beside the choice:
//   log p = log_softmax(logits in float32), of the model's own logits: before bias, penalties, masks and temperature
// (as OpenAI's `logprobs`; vLLM's default, raw_logprobs).
import {
  cast,
  copy_,
  float32,
  gather,
  int32,
  keep,
  logSoftmax,
  type Runtime,
  reshape,
  slice,
  type Tensor,
  topk,
  zeros,
} from '@ao/core';

export interface TopLogprob {
  readonly id: number;
  readonly logprob: number;
}

export interface TokenLogprob extends TopLogprob {
  /** The k likeliest, the likeliest first; empty for `logprobs: true`. */
  readonly top: readonly TopLogprob[];
}

export class LogProbs {
  readonly #k: number;
  readonly #chosen: Tensor;
  readonly #values: Tensor | undefined;
  readonly #ids: Tensor | undefined;

  constructor(rt: Runtime, batch: number, k: number, device: string) {
    this.#k = k;
    this.#chosen = keep(zeros(rt, [batch, 1], { dtype: float32, device }));
    this.#values = k > 0 ? keep(zeros(rt, [batch, k], { dtype: float32, device })) : undefined;
    this.#ids = k > 0 ? keep(zeros(rt, [batch, k], { dtype: int32, device })) : undefined;
  }

  /** log p [N, V] of logits that may be changed afterwards. */
  of(logits: Tensor): Tensor {
    return logSoftmax(cast(logits, float32));
  }

  /** Remembers what was chosen by all sequences, or by sequence b alone. */
  record(logp: Tensor, token: Tensor, b?: number): void {
    const own = (t: Tensor): Tensor => (b === undefined ? t : slice(t, 0, b, b + 1));
    copy_(own(this.#chosen), gather(logp, 1, reshape(token, [token.numel, 1])));
    if (this.#values === undefined) return;
    const [values, ids] = topk(logp, this.#k);
    copy_(own(this.#values), values);
    copy_(own(this.#ids!), ids);
  }

  /** Of each sequence what was recorded last; `ids` are its tokens. */
  async read(ids: Promise<ArrayLike<number>>): Promise<TokenLogprob[]> {
    const all = await Promise.all([ids, this.#chosen.data(), this.#values?.data(), this.#ids?.data()]);
    const [tokens, chosen, values, top] = all.map((data) =>
      Array.from((data ?? []) as ArrayLike<number>),
    ) as number[][];
    const k = this.#k;
    return tokens!.map((id, b) => ({
      id,
      logprob: chosen![b]!,
      top: Array.from({ length: k }, (_, i) => ({ id: top![b * k + i]!, logprob: values![b * k + i]! })),
    }));
  }

  dispose(): void {
    for (const t of [this.#chosen, this.#values, this.#ids]) t?.dispose();
  }
}
