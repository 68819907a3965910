// The schemes of small floats and tables.
import type { Extension } from '@ao/core';
import { float8 } from './float8.ts';

export const floats = (): readonly Extension[] => [float8()];
