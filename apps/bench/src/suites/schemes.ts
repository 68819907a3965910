// The suites behind the tables of schemes: `pnpm bench schemes`.
import type { Suite } from '../suite.ts';
import { suite as quality } from './scheme-quality.ts';
import { suite as speed } from './scheme-speed.ts';

export const SCHEME_SUITES: readonly Suite[] = [speed, quality];
