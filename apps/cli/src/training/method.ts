// How a model is trained: what loads it, which of its parameters train, and what a checkpoint of it is. `full` trains all of them; other methods
// (adapters, fake quantization) are further values of this type.

import type { Extension, Tensor } from '@ao/core';
import type { CausalLM, FromPretrainedOptions } from '@ao/hf-integration';

export interface Method {
  /** What the runtime needs for it, besides autograd and optimizers. */
  extensions(): Promise<readonly Extension[]>;
  /** How fromPretrained loads the model, besides `trainable`. */
  readonly load: Pick<FromPretrainedOptions, 'quantizationConfig'>;
  /** Changes the loaded model, from the beginning and on resuming. */
  prepare(model: CausalLM): Promise<void>;
  /** What trains, by name. */
  parameters(model: CausalLM): Map<string, Tensor>;
  /** What the checkpoint's file holds; the rest is in what `save` writes, from which a resumed run loads its model. */
  inCheckpoint(model: CausalLM): Map<string, Tensor>;
  save(model: CausalLM, folder: string): Promise<void>;
}

const NOTHING: ReadonlyMap<string, Tensor> = new Map();

export const full: Method = {
  extensions: async () => [],
  load: {},
  prepare: async () => {},
  parameters: (model) => new Map([...model.namedParameters()].filter(([, t]) => t.requiresGrad)),
  inCheckpoint: () => new Map(NOTHING),
  save: (model, folder) => model.savePretrained(folder),
};
