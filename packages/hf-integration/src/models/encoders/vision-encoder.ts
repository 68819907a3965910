// VisionEncoder: what every encoder of images offers: hidden states of pixel values, and embeddings of images.
import type { Tensor } from '@ao/core';
import { type EmbedImagesInput, embedImages, type ImageInput } from '../../embed/embed-images.ts';
import { PretrainedModel } from '../pretrained-model.ts';
import type { PatchSizes } from './patch-embedding.ts';

export interface VisionOutput {
  /** [B, 1 + patches, H] */
  readonly lastHiddenState: Tensor;
  /** [B, P]: ViT: the pooler's, where the model has one; CLIP: the normalised first token. */
  readonly poolerOutput?: Tensor;
  /** [B, projection]: of CLIPVisionModelWithProjection. */
  readonly imageEmbeds?: Tensor;
  /** [B, labels]: of ViTForImageClassification. */
  readonly logits?: Tensor;
}

export abstract class VisionEncoder extends PretrainedModel {
  abstract readonly sizes: PatchSizes;

  /** Normalised pixels [B, C, H, W] of the model's dtype -> hidden states. */
  abstract override forward(pixelValues: Tensor): VisionOutput;

  /** What embed gives of an output, [B, n]. */
  abstract embedding(output: VisionOutput): Tensor;

  /**
   * A vector for each image, in their order; one image gives one vector. ViT: the last hidden state of the first token; CLIP:
   * imageEmbeds, without a projection poolerOutput.
   */
  embed(image: ImageInput, input?: EmbedImagesInput): Promise<Float32Array>;
  embed(images: readonly ImageInput[], input?: EmbedImagesInput): Promise<Float32Array[]>;
  async embed(
    images: ImageInput | readonly ImageInput[],
    input: EmbedImagesInput = {},
  ): Promise<Float32Array | Float32Array[]> {
    if (Array.isArray(images)) return embedImages(this, images as readonly ImageInput[], input);
    return (await embedImages(this, [images as ImageInput], input))[0]!;
  }
}
