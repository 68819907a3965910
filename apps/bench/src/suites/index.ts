// All suites, in the order they run. A new one: a file here that exports `suite`, and its line below.
import type { Suite } from '../suite.ts';
import { suite as autoquant } from './autoquant.ts';
import { suite as batch } from './batch.ts';
import { suite as eventLoop } from './event-loop.ts';
import { suite as isa } from './isa.ts';
import { suite as kernels } from './kernels.ts';
import { suite as kvCache } from './kv-cache.ts';
import { suite as llm } from './llm.ts';
import { suite as longContext } from './long-context.ts';
import { suite as optim } from './optim.ts';
import { suite as ort } from './ort.ts';
import { suite as overhead } from './overhead.ts';
import { suite as qat } from './qat.ts';
import { suite as quantize } from './quantize.ts';
import { suite as speculative } from './speculative.ts';
import { suite as startup } from './startup.ts';
import { suite as threads } from './threads.ts';
import { suite as torchao } from './torchao.ts';
import { suite as training } from './training.ts';

export const SUITES: readonly Suite[] = [
  kernels,
  ort,
  llm,
  longContext,
  kvCache,
  torchao,
  training,
  isa,
  threads,
  batch,
  autoquant,
  speculative,
  optim,
  qat,
  overhead,
  quantize,
  startup,
  eventLoop,
];
