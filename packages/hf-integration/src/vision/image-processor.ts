// ImageProcessor: what preprocessor_config.json says of an image before a vision model sees it, in transformers' order:
// resize, cut out the centre, rescale, normalise: value = (byte * factor - mean[c]) / std[c].   bytes [H, W, 3] -> [3, H', W']
import { join } from 'node:path';
import { AoError } from '@ao/core';
import { Fields } from '../config/fields.ts';
import { type Json, readJson } from '../config/read-json.ts';
import { type RawImage, rgb } from './raw-image.ts';
import { type Filter, resize } from './resize.ts';

type Size = readonly [height: number, width: number];

export interface PixelValues {
  /** [3, height, width] */
  readonly data: Float32Array;
  readonly height: number;
  readonly width: number;
}

/** Pillow's numbers. */
const FILTERS: Readonly<Record<number, Filter>> = { 0: 'nearest', 1: 'lanczos', 2: 'bilinear', 3: 'bicubic' };

export class ImageProcessor {
  readonly #target: (size: Size) => Size;
  readonly #filter: Filter;
  readonly #crop: Size | undefined;
  readonly #factor: number;
  readonly #mean: readonly number[];
  readonly #std: readonly number[];

  constructor(json: Json, where: string) {
    const f = new Fields(json, where);
    const same = (size: Size): Size => size;
    this.#target = f.flag('do_resize', true) ? targetOf(f) : same;
    const filter = FILTERS[f.count('resample', 2, 0)];
    if (filter === undefined) throw f.error('resample', '0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)');
    this.#filter = filter;
    this.#crop = f.flag('do_center_crop', false) ? fixedSize(f, 'crop_size') : undefined;
    this.#factor = f.flag('do_rescale', true) ? f.positive('rescale_factor', 1 / 255) : 1;
    const normalize = f.flag('do_normalize', true);
    this.#mean = normalize ? triple(f, 'image_mean') : [0, 0, 0];
    this.#std = normalize ? triple(f, 'image_std') : [1, 1, 1];
  }

  process(image: RawImage): PixelValues {
    const from: Size = [image.height, image.width];
    const to = this.#target(from);
    const bytes = resize(rgb(image), from, to, this.#filter);
    const [height, width] = this.#crop ?? to;
    const [top, left] = [Math.floor((to[0] - height) / 2), Math.floor((to[1] - width) / 2)];
    if (top < 0 || left < 0) {
      throw new AoError('ERR_AO_SHAPE', `crop_size ${height} x ${width} of an image of ${to[0]} x ${to[1]}`, {
        fix: 'give a larger image, or a preprocessor_config.json that resizes to crop_size',
      });
    }
    const data = new Float32Array(3 * height * width);
    for (let c = 0, at = 0; c < 3; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++, at++) {
          const byte = bytes[((top + y) * to[1] + left + x) * 3 + c]!;
          data[at] = (byte * this.#factor - this.#mean[c]!) / this.#std[c]!;
        }
    return { data, height, width };
  }
}

/** { height, width }, or one number for both. */
function fixedSize(f: Fields, name: string): Size {
  if (typeof f.json[name] === 'number') return [f.count(name), f.count(name)];
  const size = f.object(name);
  if (size === undefined) throw f.error(name, 'an object with height and width');
  return [size.count('height'), size.count('width')];
}

/** A fixed size, or { shortest_edge }: the other edge keeps the ratio, rounded down. */
function targetOf(f: Fields): (size: Size) => Size {
  const object = typeof f.json['size'] === 'number' ? undefined : f.object('size');
  if (!object?.has('shortest_edge')) {
    const size = fixedSize(f, 'size');
    return () => size;
  }
  const edge = object.count('shortest_edge');
  return ([height, width]) =>
    height <= width ? [edge, Math.floor((edge * width) / height)] : [Math.floor((edge * height) / width), edge];
}

function triple(f: Fields, name: string): readonly number[] {
  const value = f.json[name];
  if (Array.isArray(value) && value.length === 3 && value.every((x) => Number.isFinite(x))) return value as number[];
  throw f.error(name, 'three numbers');
}

export const AutoImageProcessor = {
  async fromPretrained(folder: string): Promise<ImageProcessor> {
    const json = await readJson(folder, 'preprocessor_config.json', 'images cannot be prepared without it');
    return new ImageProcessor(json, join(folder, 'preprocessor_config.json'));
  },
};
