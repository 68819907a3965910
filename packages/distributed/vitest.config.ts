import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['@ao/source'] },
  ssr: { resolve: { conditions: ['@ao/source'] } },
  test: { name: 'distributed', testTimeout: 120_000, include: ['src/**/*.test.ts', 'test/**/*.test.ts'] },
});
