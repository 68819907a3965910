// The compiled kernels; nothing is opened before the first call of one.
import { fileURLToPath } from 'node:url';
import { nativeKernel } from '@ao/kernels-cpu';

const file = fileURLToPath(new URL('../build/square8.so', import.meta.url));

/** A kernel of src/square8.cc by its name in the table `entries`. */
export const native = (name) => nativeKernel(file, name);
