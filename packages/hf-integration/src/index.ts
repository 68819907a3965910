// @ao/hf-integration: Hugging Face models, tokenizers and generation.
export { type AutoRuntimeOptions, autoRuntime, type Finding, probeRuntime } from './auto-runtime.ts';
export type { GenerationConfig } from './config/generation-config.ts';
export type { ModelConfig } from './config/model-config.ts';
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate.ts';
export { hfIntegration } from './extension.ts';
export { AutoModelForCausalLM, type FromPretrainedOptions } from './from-pretrained.ts';
export type { GenerateInput } from './generate/generate.ts';
export { type FinishReason, Generation, type GenerationResult, type Piece } from './generate/generation.ts';
export type { GenerateOptions } from './generate/options.ts';
export { CausalLM } from './models/causal-lm.ts';
export type { ModelFamily, Outline, ParameterSpec } from './models/family.ts';
export { StaticCache } from './models/kv-cache.ts';
export type { OnProgress, ProgressEvent } from './progress.ts';
export { AutoTokenizer } from './tokenizer/auto-tokenizer.ts';
export type { ChatMessage } from './tokenizer/chat-template.ts';
export { TextStream } from './tokenizer/text-stream.ts';
export { type ChatTemplateOptions, type DecodeOptions, Tokenizer } from './tokenizer/tokenizer.ts';
