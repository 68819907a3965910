// AutoModel.fromPretrained(folder, options): an encoder of text or images from a Hugging Face folder, quantized on the way
// where a config is given, or as the folder has it.
import { readSentenceConfig } from './embed/sentence-config.ts';
import { type FromPretrainedOptions, loadPretrained } from './from-pretrained.ts';
import type { Encoder } from './models/encoders/index.ts';
import { TextEncoder } from './models/encoders/text-encoder.ts';

export const AutoModel = {
  /** The config decides what comes; for images tell the compiler: `AutoModel.fromPretrained<VisionEncoder>(folder)`. */
  async fromPretrained<M extends Encoder = TextEncoder>(
    folder: string,
    options: FromPretrainedOptions = {},
  ): Promise<M> {
    // a folder that cannot be embedded with is told before its weights are read
    const sentence = await readSentenceConfig(folder);
    const model = (await loadPretrained(folder, options, 'AutoModel')) as Encoder;
    if (model instanceof TextEncoder) model.sentence = sentence;
    return model as Encoder as M;
  },
};
