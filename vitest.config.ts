// All packages and apps in one run, on their sources: their own configs resolve the condition @ao/source, so nothing is built.
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// One worker more than processors: tests that wait for other processes leave one idle.
export default defineConfig({
  test: {
    projects: ['packages/*/vitest.config.ts', 'apps/*/vitest.config.ts'],
    maxWorkers: availableParallelism() + 1,
  },
});
