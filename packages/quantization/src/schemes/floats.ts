// The schemes of small floats, tables and unsigned codes, and GGUF's.
import type { Extension } from '@ao/core';
import { codebook } from './codebook.ts';
import { float8 } from './float8.ts';
import { float8DynamicInt4 } from './float8-dynamic-int4.ts';
import { fpx } from './fpx.ts';
import { gguf } from './gguf.ts';
import { mx } from './mx.ts';
import { nf4 } from './nf4.ts';
import { nvfp4 } from './nvfp4.ts';
import { uintx } from './uintx.ts';

export const floats = (): readonly Extension[] => [
  float8(),
  float8DynamicInt4(),
  mx(),
  nvfp4(),
  nf4(),
  fpx(),
  uintx(),
  codebook(),
  gguf(),
];
