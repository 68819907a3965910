// AutoModel.fromPretrained(folder, options): an encoder of text or images from a Hugging Face folder, quantized on the way
// where a config is given, or as the folder has it.
import { autoClass, type FromPretrainedOptions } from './from-pretrained.ts';
import type { Encoder } from './models/encoders/index.ts';
import type { TextEncoder } from './models/encoders/text-encoder.ts';

const encoders = /*@__PURE__*/ autoClass<Encoder>('AutoModel');

export const AutoModel = {
  /** The config decides what comes; for images tell the compiler: `AutoModel.fromPretrained<VisionEncoder>(folder)`. */
  async fromPretrained<M extends Encoder = TextEncoder>(
    folder: string,
    options: FromPretrainedOptions = {},
  ): Promise<M> {
    return (await encoders.fromPretrained(folder, options)) as M;
  },
};
