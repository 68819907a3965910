// AutoConfig.fromPretrained(name): the architecture of a model folder or hub id, and its outline: names and shapes without tensors.
import { type ModelConfig, readModelConfig } from './config/model-config.ts';
import type { HubOptions } from './hub/options.ts';
import { resolveModel } from './hub/resolve-model.ts';
import { familyOf, type ModelFamily, type Outline } from './models/family.ts';

export interface PretrainedConfig {
  readonly config: ModelConfig;
  readonly family: ModelFamily;
  readonly outline: Outline;
}

export const AutoConfig = {
  async fromPretrained(name: string, options: HubOptions = {}): Promise<PretrainedConfig> {
    const config = await readModelConfig(await resolveModel(name, 'config', options));
    const family = familyOf(config);
    return { config, family, outline: family.outline(config) };
  },
};
