// All entries of the cpu backend.
import { type Entry, packer } from '@ao/core';
import { decoderKernels } from './attention.ts';
import { collectiveKernels } from './collectives.ts';
import { elementwise } from './elementwise.ts';
import { expertKernels } from './experts.ts';
import { float8Kernels } from './float8.ts';
import { linearKernels } from './linear.ts';
import { linearGradKernels } from './linear-grad.ts';
import { movement } from './movement.ts';
import { optimKernels } from './optim.ts';
import { cpuPacker } from './packer.ts';
import { quantizeKernels } from './quantize.ts';
import { rowKernels } from './rows.ts';
import { sparsityKernels } from './sparsity.ts';
import { trainingKernels } from './training.ts';

export const cpuEntries = (): Entry[] => [
  ...elementwise(),
  ...movement(),
  ...rowKernels(),
  ...decoderKernels(),
  ...linearKernels(),
  ...expertKernels(),
  ...linearGradKernels(),
  ...quantizeKernels(),
  ...float8Kernels(),
  ...optimKernels(),
  ...trainingKernels(),
  ...sparsityKernels(),
  ...collectiveKernels(),
  packer('cpu', cpuPacker),
];
