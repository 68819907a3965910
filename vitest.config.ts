// All packages and apps in one run, on their sources: the condition @ao/source is resolved, so nothing is built. One project,
// not one for each package: files share their transforms, and as many run side by side as there are processors.
import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['@ao/source'] },
  ssr: { resolve: { conditions: ['@ao/source'] } },
  test: {
    include: ['{packages,apps}/*/{src,test}/**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'apps/examples/**'],
    maxWorkers: availableParallelism(),
    testTimeout: 120_000,
  },
});
