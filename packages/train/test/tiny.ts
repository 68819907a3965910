// A language model of two matrices, an optimizer in five lines, and tokens to train on: what the loop's tests run.
import {
  bytesSink,
  bytesSource,
  copy_,
  type Dense,
  Embedding,
  keep,
  Linear,
  Module,
  mul,
  type Runtime,
  sub,
  type Tensor,
  tensor,
  zeros,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { openTokens, type Tokens, type TrainModel, type TrainOptimizer, writeTokens } from '../src/index.ts';

export const VOCAB = 11;

class Block extends Module {
  proj: Linear;
  constructor(proj: Linear) {
    super();
    this.proj = proj;
  }
  forward(x: Tensor): Tensor {
    return this.proj.call(x);
  }
}

export class Bigram extends Module implements TrainModel {
  embed: Embedding;
  layers: Block[];
  readonly maxPositions = 32;

  constructor(rt: Runtime, width = 6) {
    super();
    const leaf = (rows: number, cols: number): Tensor => {
      const values = Float32Array.from({ length: rows * cols }, (_, i) => Math.sin(i * i + rows) / 3);
      const t = keep(tensor(rt, values, { shape: [rows, cols] }));
      t.requiresGrad = true;
      return t;
    };
    this.embed = new Embedding(leaf(VOCAB, width));
    const layer = (rows: number): Block => new Block(new Linear(leaf(rows, width)));
    this.layers = [...(width < 100 ? [layer(width)] : []), layer(VOCAB)];
    this.named();
  }

  forward(ids: Tensor): Tensor {
    let h = this.embed.call(ids);
    for (const layer of this.layers) h = layer.call(h);
    return h;
  }
}

/** v = momentum v + g; p -= lr v */
export class Momentum implements TrainOptimizer {
  readonly paramGroups: { params: Tensor[]; lr: Dense }[];
  readonly #state = new Map<Tensor, Dense>();

  constructor(params: Tensor[], lr: number) {
    this.paramGroups = [{ params, lr: keep(tensor(params[0]!.rt, [lr])) }];
  }

  initState(): void {
    for (const p of this.paramGroups[0]!.params)
      if (!this.#state.has(p)) this.#state.set(p, keep(zeros(p.rt, p.shape)));
  }

  step(): void {
    const { params, lr } = this.paramGroups[0]!;
    for (const p of params) {
      const v = this.#state.get(p)!;
      copy_(v, sub(p.grad!, mul(v, -0.9)));
      copy_(p, sub(p, mul(v, lr)));
    }
  }

  zeroGrad(): void {
    for (const p of this.paramGroups[0]!.params) {
      p.grad?.dispose();
      p.grad = null;
    }
  }

  stateDict(): Map<string, Tensor> {
    const dict = new Map<string, Tensor>([['lr', this.paramGroups[0]!.lr]]);
    for (const [i, p] of this.paramGroups[0]!.params.entries()) dict.set(`${i}.momentum`, this.#state.get(p)!);
    return dict;
  }

  loadStateDict(dict: ReadonlyMap<string, Tensor>): void {
    for (const [name, t] of this.stateDict()) noGrad(() => copy_(t, dict.get(name)!));
  }
}

/** Counting up and down, in documents of different lengths. */
export async function tokens(documents = 24): Promise<Tokens> {
  const sink = bytesSink();
  const made = Array.from({ length: documents }, (_, d) =>
    Array.from({ length: 5 + (d % 7) }, (_v, i) => 1 + ((d % 2 ? d + i : d - i + 100) % (VOCAB - 1))),
  );
  await writeTokens(sink, made, { eosTokenId: 0, vocabSize: VOCAB });
  return openTokens(bytesSource(sink.bytes()));
}
