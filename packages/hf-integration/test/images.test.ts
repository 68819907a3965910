// Images before a model sees them: resizing against torch's antialiased one, then preprocessor_config.json's steps by hand.
import { createRuntime } from '@ao/core';
import { expect, test } from 'vitest';
import { AutoModel } from '../src/auto-model.ts';
import type { VisionEncoder } from '../src/models/encoders/vision-encoder.ts';
import { AutoImageProcessor, ImageProcessor } from '../src/vision/image-processor.ts';
import { type Filter, resize } from '../src/vision/resize.ts';
import { encoder, numbers } from './encoders.ts';

const { image, ...expected } = await numbers('images.safetensors');
const [height, width] = image!.shape as [number, number];
const data = Uint8Array.from(image!.values);
const picture = { data, width, height };

test.each(Object.keys(expected))('%s is Pillow’s, byte for byte', (name) => {
  const { shape, values } = expected[name]!;
  const got = resize(data, [height, width], shape as [number, number], name.split('_')[0] as Filter);
  expect([...got]).toEqual(values);
});

test('resize to the shortest edge, the centre cut out, rescaled and normalised', async () => {
  const processor = await AutoImageProcessor.fromPretrained(encoder('clip-projection'));
  const { data: values, ...size } = processor.process(picture);
  expect(size).toEqual({ height: 24, width: 24 });
  const bytes = resize(data, [height, width], [24, Math.floor((24 * width) / height)], 'bicubic');
  const [mean, std] = [0.4578275, 0.26130258];
  // row 5, column 7, green: 6 columns of 36 are cut off at the left
  const byte = bytes[(5 * 36 + 6 + 7) * 3 + 1]!;
  expect(values[24 * 24 + 5 * 24 + 7]).toBeCloseTo((byte / 255 - mean) / std, 5);
});

test('transparency is left out, and an image of the model’s size is not resized', async () => {
  const runtime = await createRuntime();
  using model = await AutoModel.fromPretrained<VisionEncoder>(encoder('vit'), { runtime, dtype: 'float32' });
  const processor = await AutoImageProcessor.fromPretrained(encoder('vit'));
  const bytes = data.slice(0, 24 * 24 * 3);
  const rgba = Uint8ClampedArray.from({ length: 24 * 24 * 4 }, (_, i) =>
    i % 4 === 3 ? 9 : bytes[3 * Math.floor(i / 4) + (i % 4)]!,
  );
  const [a, b, c] = await model.embed(
    [
      { data: bytes, width: 24, height: 24 },
      { data: rgba, width: 24, height: 24 },
      processor.process({ data: bytes, width: 24, height: 24 }).data,
    ],
    { processor, batchSize: 2 },
  );
  expect(b).toEqual(a);
  expect(c).toEqual(a);
  const { data: values } = processor.process({ data: bytes, width: 24, height: 24 });
  expect(values[1]).toBeCloseTo(bytes[3]! / 127.5 - 1, 6);
});

test('wrong images and settings are refused by name', () => {
  const settings = { size: 8, image_mean: [0, 0, 0], image_std: [1, 1, 1] };
  const of = (change: object) => new ImageProcessor({ ...settings, ...change }, 'preprocessor_config.json');
  expect(() => of({ resample: 5 })).toThrow(/resample is 5.*bicubic/);
  expect(() => of({ image_mean: [1] })).toThrow(/image_mean is \[1\]; it must be three numbers/);
  expect(() => of({ size: { longest_edge: 3 } })).toThrow(/height is missing/);
  expect(() => of({}).process({ data, width: 3, height: 3 })).toThrow(/an image of 3 x 3 with \d+ bytes.*RGB/s);
  expect(() => of({ do_center_crop: true, crop_size: 9 }).process(picture)).toThrow(/crop_size 9 x 9 of an image of 8/);
});
