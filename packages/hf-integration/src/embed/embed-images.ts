// embedImages(model, images, ...): images to pixel values, in batches through the model, and its vector of each.
import { AoError, cast, type Dense, float32, prepare, scope, tensor } from '@ao/core';
import type { VisionEncoder } from '../models/encoders/vision-encoder.ts';
import type { ImageProcessor } from '../vision/image-processor.ts';
import type { RawImage } from '../vision/raw-image.ts';
import { vectors } from './pooling.ts';

/** Pixels as decoded, or pixel values as an ImageProcessor gives them: channels x height x width. */
export type ImageInput = RawImage | Float32Array;

export interface EmbedImagesInput {
  /** Needed for raw pixels. */
  readonly processor?: ImageProcessor;
  /** Scale each vector to length 1. Default false. */
  readonly normalize?: boolean;
  /** Most images at a time; default 8. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

export async function embedImages(
  model: VisionEncoder,
  images: readonly ImageInput[],
  { processor, normalize = false, batchSize = 8, signal }: EmbedImagesInput,
): Promise<Float32Array[]> {
  const { channels, image: side } = model.sizes;
  const size = channels * side * side;
  if (!Number.isInteger(batchSize) || batchSize < 1) throw refuse(`batchSize is ${batchSize}`, 'give 1 or more');
  if (processor === undefined && images.some((image) => !(image instanceof Float32Array)))
    throw refuse('an image without a processor', 'pass processor: await AutoImageProcessor.fromPretrained(folder)');
  await prepare(model);
  const out: Float32Array[] = [];
  for (let at = 0; at < images.length; at += batchSize) {
    signal?.throwIfAborted();
    const batch = images.slice(at, at + batchSize);
    const pixels = new Float32Array(batch.length * size);
    for (const [i, image] of batch.entries()) {
      const values = image instanceof Float32Array ? image : processor!.process(image).data;
      if (values.length !== size)
        throw refuse(
          `image ${at + i} has ${values.length} pixel values, the model takes ${channels} x ${side} x ${side}`,
          'use the preprocessor_config.json of this model',
        );
      pixels.set(values, i * size);
    }
    using pooled = scope(() => {
      const shape = [batch.length, channels, side, side];
      const input = tensor(model.rt, pixels, { shape, dtype: model.dtype, device: model.device });
      return cast(model.embedding(model.call(input)), float32) as Dense;
    });
    out.push(...vectors(await pooled.data(), batch.length, normalize));
  }
  return out;
}

function refuse(message: string, fix: string): AoError {
  return new AoError('ERR_AO_CONFIG', message, { op: 'embed', fix });
}
