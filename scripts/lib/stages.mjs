// The stages of `npm test` in their order. A stage runs commands, whose output goes to its log, and returns counts.

import { arm64 } from '../stages/arm64.mjs';
import { cuda } from '../stages/cuda.mjs';
import { demo, examples, outOfTree } from '../stages/examples.mjs';
import { ctest, ctestSanitized, native } from '../stages/native.mjs';
import { format, lint, types } from '../stages/static.mjs';
import { packages, vitest } from '../stages/vitest.mjs';

/**
 * @typedef {import('./counts.mjs').Counts} Counts
 * @typedef {import('./run.mjs').Options} Options
 * @typedef {{ exec(command: string, args: readonly string[], options?: Options): Promise<import('./run.mjs').Result> }} Context
 * @typedef {{ name: string, about: string, native?: boolean, run(context: Context): Promise<Counts | string> }} Stage `native`: needs the
 *   compiled kernels; a string is the reason why there was nothing to run
 */

/** @type {readonly Stage[]} */
export const stages = [
  format,
  lint,
  types,
  native,
  ctest,
  ctestSanitized,
  arm64,
  cuda,
  vitest,
  packages,
  outOfTree,
  examples,
  demo,
];
