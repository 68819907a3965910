// AutoConfig.fromPretrained(folder): the architecture of a model folder, and its outline: names and shapes without tensors.
import { type ModelConfig, readModelConfig } from './config/model-config.ts';
import { familyOf, type ModelFamily, type Outline } from './models/family.ts';

export interface PretrainedConfig {
  readonly config: ModelConfig;
  readonly family: ModelFamily;
  readonly outline: Outline;
}

export const AutoConfig = {
  async fromPretrained(folder: string): Promise<PretrainedConfig> {
    const config = await readModelConfig(folder);
    const family = familyOf(config);
    return { config, family, outline: family.outline(config) };
  },
};
