// TextEncoder: what every encoder of text offers: hidden states of padded batches, and embeddings of texts.
import type { Tensor } from '@ao/core';
import { type EmbedInput, embedTexts, type TextInput } from '../../embed/embed-texts.ts';
import type { SentenceConfig } from '../../embed/sentence-config.ts';
import { PretrainedModel } from '../pretrained-model.ts';

export interface EncoderInputs {
  /** int32 [B, T]: 1 = a token, 0 = padding, which no token sees. Default: all ones. */
  readonly attentionMask?: Tensor;
  /** int32 [B, T]: which of two texts a token belongs to. Default: all zeros. */
  readonly tokenTypeIds?: Tensor;
}

export interface EncoderOutput {
  /** [B, T, H] */
  readonly lastHiddenState: Tensor;
  /** [B, H]: tanh of a linear of the first token, where the model has one. */
  readonly poolerOutput?: Tensor;
}

export abstract class TextEncoder extends PretrainedModel {
  abstract readonly vocabSize: number;
  abstract readonly hiddenSize: number;
  /** Most positions the model was made for. */
  abstract readonly maxPositions: number;
  abstract readonly padTokenId: number;

  /** What the files of sentence-transformers say; nothing where the folder has none. */
  get sentence(): SentenceConfig {
    return this.origin?.sentence ?? {};
  }

  /** Token ids int32 [B, T] -> hidden states; positions count from the first column. */
  abstract override forward(inputIds: Tensor, inputs?: EncoderInputs): EncoderOutput;

  /**
   * A vector of `hiddenSize` numbers for each text (or array of token ids), in their order; one text gives one vector. Texts
   * are batched by length and padded; a text's vector does not depend on the others.
   */
  embed(text: TextInput, input?: EmbedInput): Promise<Float32Array>;
  embed(texts: readonly TextInput[], input?: EmbedInput): Promise<Float32Array[]>;
  async embed(texts: TextInput | readonly TextInput[], input: EmbedInput = {}): Promise<Float32Array | Float32Array[]> {
    const one = typeof texts === 'string' || (texts.length > 0 && typeof texts[0] === 'number');
    if (!one) return embedTexts(this, texts as readonly TextInput[], input);
    return (await embedTexts(this, [texts as TextInput], input))[0]!;
  }
}
