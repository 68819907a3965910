import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['@ao/source'] },
  ssr: { resolve: { conditions: ['@ao/source'] } },
  test: { name: 'kernels-cuda', testTimeout: 120_000, include: ['src/**/*.test.ts', 'test/**/*.test.ts'] },
});
