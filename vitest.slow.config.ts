import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.slow.ts', 'test/**/*.slow.ts'],
    setupFiles: ['./test/support/setup.ts'],
    update: 'none',
    allowOnly: false,
    testTimeout: 3_600_000,
    hookTimeout: 3_600_000,
    pool: 'forks',
    maxWorkers: 1,
    reporters: ['default', './tools/summary-reporter.mjs'],
  },
});
