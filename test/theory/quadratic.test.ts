import { describe, expect, it } from 'vitest';
import { symmetricEigen } from '../../src/linalg/index.js';
import { InputError } from '../../src/registry/index.js';
import { gaussianQuadratic, largestStableRate, minimize, quadraticMethods, stepsAt } from '../../src/theory/index.js';

describe('gaussianQuadratic', () => {
  it.each([1, 30, 1e6])('has eigenvalues from 1 to κ = %d', (kappa) => {
    const { hessian, size } = gaussianQuadratic(kappa, { size: 12, seed: 4 });
    const { values } = symmetricEigen(hessian, size);
    expect(values[0]).toBeCloseTo(1, 8);
    expect(values[size - 1] / kappa).toBeCloseTo(1, 12);
  });

  it('refuses what is no condition number', () => {
    for (const kappa of [0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => gaussianQuadratic(kappa)).toThrow(InputError);
    }
  });
});

describe('methods', () => {
  const kappa = 400;
  const quadratic = gaussianQuadratic(kappa, { seed: 2 });
  const [descent, ball, nesterov, adam] = quadraticMethods(kappa);
  const steps = (entry: typeof descent, rate = entry.rate?.(1, kappa) ?? 0) =>
    minimize(quadratic, entry.create(rate, quadratic.size), { tolerance: 1e-4, budget: 100_000 });

  it('take about the steps that their contraction allows: (κ − 1)/(κ + 1), (√κ − 1)/(√κ + 1), 1 − 2/√(3κ + 1)', () => {
    // ln 1e4 over −ln of 399/401, 19/21 and 1 − 2/√1201.
    const expected = [1842, 92.02, 154.98];
    [descent, ball, nesterov].forEach((entry, i) => {
      expect(stepsAt(entry.contraction?.(kappa) ?? 0, 1e-4) / expected[i]).toBeCloseTo(1, 3);
      const found = steps(entry).steps ?? 0;
      expect(found / expected[i]).toBeGreaterThan(0.5);
      expect(found / expected[i]).toBeLessThan(1.6);
    });
    expect(steps(ball).steps).toBeLessThan((steps(descent).steps ?? 0) / 8);
  });

  it('diverge beyond their limits and not before', () => {
    for (const entry of [descent, ball, nesterov]) {
      const limit = entry.limit?.(1, kappa) ?? 0;
      const run = (rate: number) =>
        minimize(quadratic, entry.create(rate, quadratic.size), { tolerance: 0, budget: 20_000 }).diverged;
      expect([entry.name, run(0.99 * limit), run(1.01 * limit)]).toEqual([entry.name, false, true]);
      const found = largestStableRate(quadratic, (rate) => entry.create(rate, quadratic.size), {
        low: limit / 3,
        high: limit * 3,
        budget: 20_000,
      });
      expect(found / limit).toBeCloseTo(1, 2);
    }
    expect(steps(adam, 10).diverged).toBe(false);
  });

  it('one step solves κ = 1', () => {
    const round = gaussianQuadratic(1);
    const [plain] = quadraticMethods(1);
    const run = minimize(round, plain.create(1, 20), { tolerance: 1e-4, budget: 10 });
    expect(run.steps).toBe(1);
  });
});
