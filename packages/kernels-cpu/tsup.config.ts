import { cpSync } from 'node:fs';
import { defineConfig } from 'tsup';

/** What libraries of kernels are compiled against: dist/include/ao/plugin.h and what it includes. */
const headers = ['kernel.h', 'plugin.h'];

export default defineConfig({
  entry: ['src/index.ts', 'src/native.ts'],
  format: ['esm', 'cjs'],
  dts: { compilerOptions: { ignoreDeprecations: '6.0' } },
  target: 'node20',
  clean: true,
  shims: true,
  async onSuccess() {
    for (const file of headers) cpSync(`../../kernels/cpu/include/ao/${file}`, `dist/include/ao/${file}`);
  },
});
