import { describe, expect, it } from 'vitest';
import { adamLimits } from './adamw-limits.js';
import { controlledRows, expectRow } from './controlled.js';

// Numbers of docs/theory.md that take too long for the default tests.

describe('the table "controlled iterations"', () => {
  it.each(controlledRows.map((row) => [row.network, row.sigma, row] as const))('%s at σ_max %d', (_name, _sigma, row) =>
    expectRow(row),
  );
});

describe('the largest stable rate of Adam over 38 / λ_max(P^-½ H P^-½)', () => {
  it.each([
    ['mlp', 100, { held: 0.055, live: 0.71, cold: 2.6 }],
    ['mlp', 1000, { held: 0.57, live: 1.14, cold: 7.3 }],
    ['mlp', 3000, { held: 0.88, live: 1.09, cold: 3.5 }],
    ['cnn', 100, { held: 0.11, live: 0.74, cold: 36 }],
    ['cnn', 1000, { held: 0.71, live: 1.54, cold: 38 }],
    ['cnn', 3000, { held: 0.96, live: 1.09, cold: 49 }],
    ['transformer', 100, { held: 0.16, live: 0.44, cold: 1.8 }],
    ['transformer', 1000, { held: 0.17, live: 0.57, cold: 61 }],
    ['transformer', 3000, { held: 0.34, live: 1, cold: 8.7 }],
  ] as const)('of the %s after %d steps', async (name, steps, wanted) => {
    const found = await adamLimits(name, steps);
    // The search is to 5 %.
    for (const key of ['held', 'live', 'cold'] as const) {
      expect(Math.abs(Math.log(found[key] / wanted[key])), key).toBeLessThan(0.12);
    }
  });
});
