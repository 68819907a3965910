// @ao/hf-integration: Hugging Face models, tokenizers and generation.
export { AutoConfig, type PretrainedConfig } from './auto-config.ts';
export { AutoModel } from './auto-model.ts';
export { type AutoRuntimeOptions, autoRuntime, type Finding, probeRuntime } from './auto-runtime.ts';
export type { ChatOptions, ChatReply, TurnOptions } from './chat/chat-options.ts';
export { ChatSession, type SaveChatOptions } from './chat/chat-session.ts';
export type { GenerationConfig } from './config/generation-config.ts';
export type { ModelConfig } from './config/model-config.ts';
export { type ConvertOptions, type ConvertReport, convertCheckpoint } from './convert/convert-checkpoint.ts';
export type { EmbedImagesInput, ImageInput } from './embed/embed-images.ts';
export type { EmbedInput, TextInput } from './embed/embed-texts.ts';
export type { Pooling } from './embed/pooling.ts';
export type { SentenceConfig } from './embed/sentence-config.ts';
export { type IdBatchesOptions, idBatches } from './eval/id-batches.ts';
export {
  documentsOf,
  type EvaluateTaskOptions,
  evaluateTask,
  type Task,
  type TaskResult,
  taskNames,
} from './eval/tasks.ts';
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate.ts';
export { hfIntegration } from './extension.ts';
export { type Checkpoint, openCheckpoint } from './files/checkpoint.ts';
export { createFile, type FileSink, type FileSource, openFile } from './files/node-file.ts';
export type { FromConfigOptions } from './from-config.ts';
export { AutoModelForCausalLM, type FromPretrainedOptions } from './from-pretrained.ts';
export type { GenerateInput } from './generate/generate.ts';
export {
  type FinishReason,
  Generation,
  type GenerationResult,
  type Piece,
  type Speculation,
} from './generate/generation.ts';
export type { LogitInput } from './generate/logit-options.ts';
export type { TokenLogprob, TopLogprob } from './generate/logprobs.ts';
export type { GenerateOptions } from './generate/options.ts';
export { PastKeyValues } from './generate/past-key-values.ts';
export type { ResponseFormat } from './generate/response-format.ts';
export type { SpeculativeOptions } from './generate/speculation.ts';
export {
  type ConvertToGgufOptions,
  type ConvertToGgufReport,
  convertToGguf,
  ggufTypes,
} from './gguf/convert-to-gguf.ts';
export type { HubOptions } from './hub/options.ts';
export { isRepoId } from './hub/repo-id.ts';
export { type SnapshotOptions, snapshotDownload } from './hub/resolve-model.ts';
export type { DeviceMap } from './load/device-map.ts';
export { DecoderForCausalLM } from './models/blocks/decoder.ts';
export type { CacheFormat, KVCacheFormat } from './models/cache-layout.ts';
export { CausalLM, type Prompt } from './models/causal-lm.ts';
export { BertModel } from './models/encoders/bert.ts';
export { CLIPVisionModel, CLIPVisionModelWithProjection } from './models/encoders/clip-vision.ts';
export type { Encoder } from './models/encoders/index.ts';
export { type EncoderInputs, type EncoderOutput, TextEncoder } from './models/encoders/text-encoder.ts';
export { VisionEncoder, type VisionOutput } from './models/encoders/vision-encoder.ts';
export { ViTForImageClassification, ViTModel } from './models/encoders/vit.ts';
export type { ModelFamily, Outline, ParameterSpec, Role } from './models/family.ts';
export { type CacheShape, type KVCache, StaticCache } from './models/kv-cache.ts';
export { type Origin, PretrainedModel } from './models/pretrained-model.ts';
export { addSafeGlobals, clearSafeGlobals, getSafeGlobals } from './pickle/safe-globals.ts';
export type { OnProgress, ProgressEvent } from './progress.ts';
export { type CalibrateModelOptions, calibrateModel, widen, windowsOf } from './quantize/calibrate-model.ts';
export type { DequantizeReport, DequantizeRow } from './quantize/dequantize-model.ts';
export { dryRun } from './quantize/dry-run.ts';
export { type Estimate, type EstimateOptions, estimate, type SchemeEstimate } from './quantize/estimate.ts';
export { type FileBits, fileBits } from './quantize/file-bits.ts';
export { type InspectedModule, type Inspection, inspect } from './quantize/inspect.ts';
export { type MixedConfig, type MixedConfigOptions, mixedConfig } from './quantize/mixed-config.ts';
export { type Planned, planQuantization, type QuantizationPlan } from './quantize/plan.ts';
export { type QuantizeCheckpointOptions, quantizeCheckpoint } from './quantize/quantize-checkpoint.ts';
export {
  type Considered,
  type Recommendation,
  type RecommendOptions,
  type RecommendTask,
  recommend,
} from './quantize/recommend.ts';
export { type RulesConfig, rulesConfig } from './quantize/rules.ts';
export {
  type QuantizationConfigInput,
  type TorchAoConfig,
  type TorchAoOptions,
  torchAoConfig,
  torchAoConfigFromJson,
  torchAoConfigToJsonString,
} from './quantize/torchao-config.ts';
export { type SaveOptions, savePretrained } from './save-pretrained.ts';
export { AutoTokenizer } from './tokenizer/auto-tokenizer.ts';
export type { ChatMessage, ChatTemplates, ChatTool } from './tokenizer/chat-template.ts';
export { TextStream } from './tokenizer/text-stream.ts';
export { type ChatTemplateOptions, type DecodeOptions, Tokenizer } from './tokenizer/tokenizer.ts';
export { UpcastTensor } from './upcast.ts';
export { AutoImageProcessor, ImageProcessor, type PixelValues } from './vision/image-processor.ts';
export type { RawImage } from './vision/raw-image.ts';
