import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['./test/support/setup.ts'],
    // Only against hanging: no test may depend on how fast or how busy the machine is.
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
    teardownTimeout: 120_000,
    // A snapshot that is not there fails, also outside of CI; `vitest run -u` writes it, for review.
    update: 'none',
    allowOnly: false,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './tools/summary-reporter.mjs'],
    // Also files that no test imports. What runs in child processes (commands, workers) is not counted.
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/**/*.test.ts', 'src/**/*.slow.ts', 'src/**/*_pb.ts'],
      reporter: ['text-summary', 'html'],
    },
  },
});
