export type { ByteSink, ByteSource } from './bytes.ts';
export { bytesSink, bytesSource } from './bytes.ts';
export type { SafetensorsEntry } from './safetensors-header.ts';
export type { SafetensorsIndex, Shard } from './safetensors-index.ts';
export { openSafetensorsIndex, parseSafetensorsIndex, planShards, safetensorsIndex } from './safetensors-index.ts';
export type { TensorFile } from './safetensors-read.ts';
export { openSafetensors } from './safetensors-read.ts';
export type { SafetensorsItem, SafetensorsLayout, TensorBytes } from './safetensors-write.ts';
export { safetensorsChunks, safetensorsHeader, writeSafetensors } from './safetensors-write.ts';
