// The schemes of small floats and tables.
import type { Extension } from '@ao/core';
import { float8 } from './float8.ts';
import { mx } from './mx.ts';
import { nf4 } from './nf4.ts';
import { nvfp4 } from './nvfp4.ts';

export const floats = (): readonly Extension[] => [float8(), mx(), nvfp4(), nf4()];
