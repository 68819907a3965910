// @ao/sparsity: 2:4 and block-sparse weights, how their masks are found, and how models train with them.
export { type BlockSparseTensor, blockSparseKind, blockSparseTensor } from './block-sparse/block-sparse-tensor.ts';
export { type BlockShape, blockSparseExpand, blockSparseGather, blockSparseLinear } from './block-sparse/ops.ts';
export * from './config/configs.ts';
export { sparsity } from './extension.ts';
export { applyFakeSparsity, type WeightNormOptions, WeightNormSparsifier } from './masks/fake-sparsity.ts';
export {
  type ProxMap,
  type PruneGroup,
  PruneOptimizer,
  type PruneOptions,
  proxGroupLasso,
  proxLasso,
  semiSparseConstraint,
} from './masks/pat.ts';
export { maskOf, type Pattern } from './masks/pattern.ts';
export { type PrunedWeightConfig, prunedWeight } from './masks/pruned-weight.ts';
export { type SparseGptOptions, sparseGpt } from './masks/sparse-gpt.ts';
export { SupermaskLinear, type SupermaskOptions, supermask } from './masks/supermask.ts';
export { type WandaOptions, WandaSparsifier, type WandaSparsifierOptions, wanda, wandaScores } from './masks/wanda.ts';
export { type PruneAlgorithm, pruneTile4x4, sparse24Compress, sparse24Expand } from './sparse24/ops.ts';
export { denseOf, type Sparse24Tensor, sparse24Kind, sparse24Tensor } from './sparse24/sparse24-tensor.ts';
export { type CutlassMeta, fromCusparseLt, fromCutlass, toCusparseLt, toCutlass } from './sparse24/vendor-layouts.ts';
export { sparsify_ } from './sparsify.ts';
export { SemiSparseActivationLinear, SemiSparseLinear } from './training/semi-sparse-linear.ts';
export { semiStructuredSparsify } from './training/semi-structured-sparsify.ts';
export {
  type SemiSparseClass,
  swapLinearWithSemiSparseLinear,
  swapSemiSparseLinearWithLinear,
} from './training/swap.ts';
