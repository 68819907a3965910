// The parts of `pnpm gpu`, in the order they run.
import type { Part } from '../part.ts';
import { attentions } from './attention.ts';
import { conformance } from './conformance.ts';
import { linears } from './linear.ts';

export const parts: readonly Part[] = [conformance, attentions, linears];
