export { type LSBOptions, LSBQuantizer } from './lsbq.ts';
export { ProxBinaryRelax, ProxHardQuant, type ProxMap, ProxPARQ } from './prox-map.ts';
export { type BaseOptimizer, type QuantGroup, QuantOptimizer, type QuantOptimizerOptions } from './quant-optimizer.ts';
export type { Quantized, Quantizer } from './quantizer.ts';
export {
  MaxUnifQuantizer,
  StretchedUnifTorchaoQuantizer,
  TernaryUnifQuantizer,
  type UnifOptions,
  UnifQuantizer,
} from './uniform.ts';
export { Int4UnifTorchaoQuantizer, UnifTorchaoQuantizer } from './uniform-torchao.ts';
