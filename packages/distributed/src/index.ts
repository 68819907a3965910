// @ao/distributed: one model on several processes and GPUs.
export {
  type LoadShardedOptions,
  loadSharded,
  type SaveShardedOptions,
  type ShardedOptimizer,
  saveSharded,
} from './checkpoint.ts';
export { clipGradNorm_ } from './clip-grad-norm.ts';
export { averageGradients, type BucketOptions, broadcastParameters, replicate } from './data-parallel.ts';
export { distributedDataset, type Rows } from './distributed-dataset.ts';
export { type LaunchEnvironment, launchEnvironment } from './environment.ts';
export { distributed } from './extension.ts';
export { type LaunchOptions, type LaunchResult, launch } from './launch.ts';
export { allGather, allReduce_, broadcast_, type ReduceOp, reduceScatter } from './ops/collectives.ts';
export { copyToRanks, gatherColumns, sumOverRanks } from './parallel/exchange.ts';
export { type ParallelAttrs, type ParallelTensor, parallelKind } from './parallel/parallel-tensor.ts';
export {
  ColwiseParallel,
  decoderPlan,
  type ParallelPlan,
  type ParallelStyle,
  parallelize,
  RowwiseParallel,
} from './parallel/parallelize.ts';
export { initProcessGroup, type ProcessGroup, type ProcessGroupOptions } from './process-group.ts';
export { type FullyShardOptions, fullyShard } from './sharded/fully-shard.ts';
export { type ShardedAttrs, type ShardedTensor, shardedKind } from './sharded/sharded-tensor.ts';
