// @ao/hf-integration: Hugging Face models, tokenizers and generation.
export { AutoConfig, type PretrainedConfig } from './auto-config.ts';
export { type AutoRuntimeOptions, autoRuntime, type Finding, probeRuntime } from './auto-runtime.ts';
export type { ChatOptions, ChatReply, TurnOptions } from './chat/chat-options.ts';
export { ChatSession, type SaveChatOptions } from './chat/chat-session.ts';
export type { GenerationConfig } from './config/generation-config.ts';
export type { ModelConfig } from './config/model-config.ts';
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate.ts';
export { hfIntegration } from './extension.ts';
export { type Checkpoint, openCheckpoint } from './files/checkpoint.ts';
export { createFile, type FileSink, type FileSource, openFile } from './files/node-file.ts';
export { AutoModelForCausalLM, type FromPretrainedOptions } from './from-pretrained.ts';
export type { GenerateInput } from './generate/generate.ts';
export {
  type FinishReason,
  Generation,
  type GenerationResult,
  type Piece,
  type Speculation,
} from './generate/generation.ts';
export type { GenerateOptions } from './generate/options.ts';
export { PastKeyValues } from './generate/past-key-values.ts';
export type { SpeculativeOptions } from './generate/speculation.ts';
export { CausalLM, type Prompt } from './models/causal-lm.ts';
export type { ModelFamily, Outline, ParameterSpec, Role } from './models/family.ts';
export { type CacheShape, type KVCache, StaticCache } from './models/kv-cache.ts';
export { LlamaForCausalLM } from './models/llama.ts';
export type { OnProgress, ProgressEvent } from './progress.ts';
export { dryRun } from './quantize/dry-run.ts';
export { type InspectedModule, type Inspection, inspect } from './quantize/inspect.ts';
export { type Planned, planQuantization, type QuantizationPlan } from './quantize/plan.ts';
export { type QuantizeCheckpointOptions, quantizeCheckpoint } from './quantize/quantize-checkpoint.ts';
export { type RulesConfig, rulesConfig } from './quantize/rules.ts';
export {
  type TorchAoConfig,
  type TorchAoOptions,
  torchAoConfig,
  torchAoConfigFromJson,
} from './quantize/torchao-config.ts';
export { type SaveOptions, savePretrained } from './save-pretrained.ts';
export { AutoTokenizer } from './tokenizer/auto-tokenizer.ts';
export type { ChatMessage, ChatTemplates, ChatTool } from './tokenizer/chat-template.ts';
export { TextStream } from './tokenizer/text-stream.ts';
export { type ChatTemplateOptions, type DecodeOptions, Tokenizer } from './tokenizer/tokenizer.ts';
export { UpcastTensor } from './upcast.ts';
