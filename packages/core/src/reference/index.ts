// The reference backend as an extension; every runtime has it.
import type { Extension } from '../extension.ts';
import { ReferenceBackend } from './backend.ts';
import { decoder } from './decoder.ts';
import { elementwise } from './elementwise.ts';
import { weightKernels } from './linear-weight.ts';
import { matrix } from './matrix.ts';
import { movement } from './movement.ts';
import { reductions } from './reduce.ts';

export const reference = (): Extension => ({
  name: '@ao/core/reference',
  entries: [...elementwise(), ...reductions(), ...matrix(), ...decoder(), ...movement(), ...weightKernels()],
  open: async () => new ReferenceBackend(),
});
