export { type AdapterFiles, adapterFiles, hotswapAdapter, loadAdapter } from './adapter-files.ts';
export { type LoraConfig, type LoraOptions, loraConfig } from './lora-config.ts';
export { type LoraAttrs, type LoraTensor, loraEntries, loraKind } from './lora-tensor.ts';
export { type MergeOptions, type MergeRow, mergeAndUnload, unload } from './merge.ts';
export { type Adapter, getPeftModel, loraTensors } from './peft-model.ts';
