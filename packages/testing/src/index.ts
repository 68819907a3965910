export type { Tolerance } from './close.ts';
export { difference, expectBits, expectClose, rms, sqnr, ulpDistance } from './close.ts';
export type { Snapshot } from './conformance/compare.ts';
export { compareSnapshots } from './conformance/compare.ts';
export type { ConformanceOptions, ConformanceReport, ConformanceTest, Skip } from './conformance/ops.ts';
export { opConformance, runOpConformance } from './conformance/ops.ts';
export type { TestDevice, TestDevices } from './devices.ts';
export { openDevices } from './devices.ts';
export type { GoldenOptions, Outcome } from './expect-golden.ts';
export { deviations, expectGolden, referenceLinear } from './expect-golden.ts';
export type { CaseFilter, GoldenCase, GoldenInput, GoldenOutput, GoldenTensor } from './golden.ts';
export {
  fileSource,
  goldenCase,
  goldenCases,
  goldenInputs,
  goldenOutputs,
  goldenPath,
  goldenTensor,
} from './golden.ts';
