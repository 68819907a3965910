import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['@ao/source'] },
  ssr: { resolve: { conditions: ['@ao/source'] } },
  test: { name: 'cli', include: ['src/**/*.test.ts', 'test/**/*.test.ts'], testTimeout: 120_000 },
});
