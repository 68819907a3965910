import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// run by `npm test` after every package was built; the packages are read as users get them, without the source condition
export default defineConfig({
  test: {
    name: 'packed',
    root: import.meta.dirname,
    include: ['packed/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: availableParallelism(),
  },
});
