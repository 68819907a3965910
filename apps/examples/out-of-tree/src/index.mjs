// square8 for @ao: `createRuntime({ use: [cpu(), square8()] })`. Importing this does nothing.
import { configEntries } from './config.mjs';
import { castKernels } from './dtype.mjs';
import { kindEntries } from './kind.mjs';
import { linearKernels } from './op.mjs';

export { square8WeightOnly } from './config.mjs';
export { square8 as square8Dtype } from './dtype.mjs';
export { square8FromHp, square8Kind } from './kind.mjs';
export { square8Linear } from './op.mjs';

const makeEntries = () => [...castKernels(), ...linearKernels(), ...kindEntries(), ...configEntries()];

// made once: two lists that hold the same entries may both be in `use`
const entries = /*@__PURE__*/ makeEntries();

export const square8 = () => ({ name: 'ao-example-square8', entries });
