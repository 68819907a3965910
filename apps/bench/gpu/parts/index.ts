// The parts of `pnpm gpu`, in the order they run.
import type { Part } from '../part.ts';
import { attentions } from './attention.ts';
import { conformance } from './conformance.ts';
import { decode } from './decode.ts';
import { deviceMaps } from './device-map.ts';
import { distributedPart } from './distributed.ts';
import { linears } from './linear.ts';
import { memory } from './memory.ts';
import { memoryTraining } from './memory-training.ts';
import { optimizerSteps } from './optim.ts';
import { prefill } from './prefill.ts';
import { quantizedBytes } from './quantized-bytes.ts';
import { sparseWeights } from './sparse.ts';
import { suites } from './suites.ts';
import { training } from './training.ts';

export const parts: readonly Part[] = [
  conformance,
  quantizedBytes,
  suites,
  deviceMaps,
  linears,
  attentions,
  decode,
  prefill,
  memory,
  distributedPart,
  training,
  optimizerSteps,
  sparseWeights,
  memoryTraining,
];
