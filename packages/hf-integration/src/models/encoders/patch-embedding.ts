// PatchEmbedding: a Conv2d whose stride is its kernel, which is one linear over patches:
//   out[b, i * (W / p) + j] = W x[b, :, i p .. i p + p, j p .. j p + p] + bias;  x [B, C, H, W] -> [B, (H / p)(W / p), hidden]
import { AoError, linear, Module, permute, reshape, type Tensor } from '@ao/core';
import type { Fields } from '../../config/fields.ts';

/** Sizes of the images that a vision encoder takes. */
export interface PatchSizes {
  readonly channels: number;
  /** Pixels: images are square. */
  readonly image: number;
  readonly patch: number;
  /** Of an image. */
  readonly patches: number;
}

export function parsePatches(f: Fields): PatchSizes {
  const [channels, image, patch] = [f.count('num_channels', 3), f.count('image_size'), f.count('patch_size')];
  if (image % patch !== 0) throw f.error('patch_size', `a divisor of image_size ${image}`);
  return { channels, image, patch, patches: (image / patch) ** 2 };
}

export class PatchEmbedding extends Module {
  /** As Hugging Face's Conv2d: [hidden, channels, patch, patch]. */
  weight: Tensor;
  bias?: Tensor;
  readonly #sizes: PatchSizes;

  constructor(sizes: PatchSizes, weight: Tensor, bias?: Tensor) {
    super();
    this.#sizes = sizes;
    this.weight = weight;
    if (bias !== undefined) this.bias = bias;
  }

  forward = (x: Tensor): Tensor => {
    const { channels, image, patch } = this.#sizes;
    if (x.ndim !== 4 || x.shape[1] !== channels || x.shape[2] !== image || x.shape[3] !== image) {
      throw new AoError(
        'ERR_AO_SHAPE',
        `pixelValues is [${x.shape}], the model takes [B,${channels},${image},${image}]`,
        {
          fix: 'resize the images: AutoImageProcessor does',
        },
      );
    }
    const [b, n, size] = [x.shape[0]!, image / patch, channels * patch * patch];
    const split = reshape(x, [b, channels, n, patch, n, patch]);
    const patches = reshape(permute(split, [0, 2, 4, 1, 3, 5]), [b, n * n, size]);
    return linear(patches, reshape(this.weight, [this.weight.shape[0]!, size]), this.bias);
  };
}
