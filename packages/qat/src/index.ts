// @ao/qat: quantization-aware training, and adapters of low rank over weights of any kind.
export { qat } from './extension.ts';
export * from './lora/index.ts';
