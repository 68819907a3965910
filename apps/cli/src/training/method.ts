// How a model is trained: what loads it, which of its parameters train, and what is kept of it. `full` trains all of them, lora.ts adapters,
// qat.ts what is read rounded.
import type { Extension, Tensor } from '@ao/core';
import { trainableParameters } from '@ao/core/autograd';
import type { CausalLM, FromPretrainedOptions } from '@ao/hf-integration';

export interface Method {
  /** What the runtime needs for it, besides autograd and optimizers. */
  readonly extensions: readonly Extension[];
  /** How fromPretrained loads the model. */
  readonly load: Pick<FromPretrainedOptions, 'quantizationConfig' | 'trainable'>;
  /** A checkpoint's folder is a model that loads; otherwise the run goes on from the model that it began with, and the file has what trained. */
  readonly savesModel: boolean;
  /** Changes the loaded model. */
  prepare(model: CausalLM): Promise<void>;
  /** What forward draws by, once the model is prepared. */
  generators?(): Readonly<Record<string, Tensor>>;
  /** Writes the model, or what is to be kept of it, into a folder: one of a checkpoint, or once it is trained, after which it trains no further. */
  save(model: CausalLM, folder: string, trained: boolean): Promise<void>;
}

export const full: Method = {
  extensions: [],
  load: { trainable: true },
  savesModel: true,
  prepare: async () => {},
  save: (model, folder) => model.savePretrained(folder),
};

/** What a checkpoint's file holds of the model, by name. */
export const parametersToKeep = ({ savesModel }: Method, model: CausalLM): Map<string, Tensor> =>
  new Map(savesModel ? [] : trainableParameters(model));
