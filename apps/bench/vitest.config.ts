import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['@ao/source'] },
  ssr: { resolve: { conditions: ['@ao/source'] } },
  test: { name: 'bench', include: ['src/**/*.test.ts'], testTimeout: 60_000 },
});
