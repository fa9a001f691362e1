import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const files = ['src', 'test'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`),
);
/** Tests that add entries to the registries of the program or replace its modules: others must not see that. */
const alone = files.filter((file) => /\.register\(|\bvi\.(do)?mock\(/i.test(readFileSync(file, 'utf8')));

export default defineConfig({
  test: {
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
    // The files of a process share its modules: reading some 500 of them anew for each file took a fifth of the time.
    restoreMocks: true,
    unstubEnvs: true,
    projects: [
      { extends: true, test: { name: 'shared', include: files, exclude: alone, isolate: false } },
      { extends: true, test: { name: 'alone', include: alone } },
    ],
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
