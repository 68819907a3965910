// All suites, in the order they run. A new one: a file here that exports `suite`, and its line below.
import type { Suite } from '../suite.ts';
import { suite as eventLoop } from './event-loop.ts';
import { suite as llm } from './llm.ts';
import { suite as ort } from './ort.ts';

export const SUITES: readonly Suite[] = [ort, llm, eventLoop];
