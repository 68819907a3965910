export { difference, expectBits, expectClose, rms, sqnr, ulpDistance } from './close.ts';
export type { Tolerance } from './close.ts';
export { deviations, expectGolden, referenceLinear } from './expect-golden.ts';
export type { GoldenOptions, Outcome } from './expect-golden.ts';
export { fileSource, goldenCase, goldenCases, goldenInputs, goldenOutputs, goldenPath, goldenTensor } from './golden.ts';
export type { CaseFilter, GoldenCase, GoldenInput, GoldenOutput, GoldenTensor } from './golden.ts';
