import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Cost, meanInterval, medianInterval, studentQuantile } from '../../linalg/index.js';
import { InputError } from '../../registry/index.js';
import {
  cost,
  count,
  decimal,
  formatMean,
  formatMedian,
  interval,
  magnitude,
  percent,
  ratio,
  slowdown,
  steps,
} from './numbers.js';

interface Fixture {
  quantiles: { degrees: number; confidence: number; t: number }[];
  means: { values: number[]; confidence: number; mean: number; low: number; high: number }[];
  coverages: { n: number; rank: number; coverage: number }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/intervals.json', import.meta.url), 'utf8'),
);

/** Fails with the largest relative error and where it is. */
function expectClose(actual: number[], expected: number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const errors = actual.map((value, index) => Math.abs(value - expected[index]) / Math.abs(expected[index]));
  const index = errors.reduce((worst, error, at) => (error > errors[worst] ? at : worst), 0);
  expect(errors[index], `index ${index}: ${actual[index]} against ${expected[index]}`).toBeLessThan(tolerance);
}

describe('formatting', () => {
  it.each([
    [percent(0.9876), '98.8 %'],
    [percent(0.5, 0), '50 %'],
    [percent(0.99999, 1), '100.0 %'],
    [percent(-0.0001), '0.0 %'],
    [percent(-0.21), '−21.0 %'],
    [percent(undefined), '–'],
    [percent(Number.NaN), '–'],
    [percent(Number.POSITIVE_INFINITY), '–'],
    [percent(0), '0.0 %'],
    [steps(12345), '12,345'],
    [steps(undefined), '–'],
    [decimal(-1234.56, 2), '−1,234.56'],
    [decimal(Number.POSITIVE_INFINITY), '∞'],
    [decimal(Number.NEGATIVE_INFINITY), '−∞'],
    [decimal(Number.NaN), '–'],
    [decimal(0, 2), '0.00'],
    [decimal(-0, 2), '0.00'],
    [magnitude(0.005, 2), '0.01'],
    [magnitude(0.0049, 2), '4.90e−3'],
    [magnitude(-0.0049, 2), '−4.90e−3'],
    [magnitude(1e-40, 2), '1.00e−40'],
    [magnitude(0.4, 0), '4e−1'],
    [decimal(1e-17), '0.0'],
    [magnitude(0), '0.00'],
    [magnitude(undefined), '–'],
    [magnitude(Number.NaN), '–'],
    [magnitude(1e300), '1.00e300'],
    [magnitude(1234.5), '1,234.50'],
    [decimal(999_999_999_999_999, 0), '999,999,999,999,999'],
    [decimal(1.2345e30, 2), '1.23e30'],
    [steps(Number.NaN), '–'],
    [ratio(3.21), '3.2×'],
    [ratio(9.94), '9.9×'],
    [ratio(9.96), '10×'],
    [ratio(128.4), '128×'],
    [ratio(0.834), '0.83×'],
    [ratio(0.997), '1.0×'],
    [ratio(undefined), '–'],
    [ratio(Number.POSITIVE_INFINITY), '–'],
    [ratio(Number.NaN), '–'],
    [ratio(0), '0.00×'],
    [ratio(0.1), '0.10×'],
    [ratio(0.004), '4.0e−3×'],
    [ratio(3e40), '3.0e40×'],
    [interval(2.1, 4.4), '2.1 to 4.4'],
    [interval(0.9, 0.95, percent), '90.0 % to 95.0 %'],
    [interval(2.1, undefined), '–'],
    [cost({ steps: 48 }), '48'],
    [cost({ steps: 300, censored: true }), '> 300'],
    [cost(undefined), '–'],
    [count(1, 'seed'), '1 seed'],
    [count(0, 'seed'), '0 seeds'],
    [count(12345, 'step'), '12,345 steps'],
    [count(1, 'search', 'searches'), '1 search'],
    [count(2, 'search', 'searches'), '2 searches'],
    [slowdown({ steps: 160 }, { steps: 48 }), '3.3×'],
    [slowdown({ steps: 300, censored: true }, { steps: 48 }), '> 6.3×'],
    [slowdown({ steps: 150 }, { steps: 300, censored: true }), '< 0.50×'],
    [slowdown({ steps: 300, censored: true }, { steps: 300, censored: true }), '–'],
    [slowdown({ steps: 300 }, { steps: 0 }), '–'],
    [slowdown({ steps: Number.NaN }, { steps: 48 }), '–'],
    [interval(Number.NaN, Number.POSITIVE_INFINITY), '– to ∞'],
    [slowdown(undefined, { steps: 48 }), '–'],
  ])('%s', (actual, expected) => expect(actual).toBe(expected));
});

describe('studentQuantile', () => {
  it('agrees with scipy.stats.t.ppf to 1e-11', () => {
    expectClose(
      fixture.quantiles.map(({ degrees, confidence }) => studentQuantile(degrees, confidence)),
      fixture.quantiles.map(({ t }) => t),
      1e-11,
    );
  });

  it.each([
    [0, 0.95],
    [1.5, 0.95],
    [3, 1],
    [3, 0],
    [3, Number.NaN],
  ])('refuses %d degrees of freedom at confidence %d', (degrees, confidence) =>
    expect(() => studentQuantile(degrees, confidence)).toThrow(InputError),
  );
});

describe('meanInterval', () => {
  it('ends where the mean of what it is of ends', () => {
    expect(meanInterval([0.92, 0.08]).low).toBeLessThan(-4);
    expect(meanInterval([0.92, 0.08], { within: [0, 1] })).toMatchObject({ mean: 0.5, low: 0, high: 1 });
    const inside = meanInterval([0.5, 0.51, 0.52]);
    expect(meanInterval([0.5, 0.51, 0.52], { within: [0, 1] })).toEqual(inside);
  });

  it('agrees with scipy.stats.ttest_1samp to 1e-9', () => {
    const results = fixture.means.map(({ values, confidence }) => meanInterval(values, { confidence }));
    for (const bound of ['mean', 'low', 'high'] as const) {
      expectClose(
        results.map((result) => result[bound] ?? Number.NaN),
        fixture.means.map((expected) => expected[bound]),
        1e-9,
      );
    }
  });

  it('says n, and gives a single seed no interval', () => {
    expect(formatMean(meanInterval([0.94, 0.96, 0.95]), percent)).toBe('95.0 % (92.5 % to 97.5 %, n = 3)');
    expect(formatMean(meanInterval([0.94]), percent)).toBe('94.0 % (n = 1)');
    expect(() => meanInterval([])).toThrow(InputError);
  });
});

describe('medianInterval', () => {
  it("takes SciPy's order statistics and coverage", () => {
    for (const { n, rank, coverage } of fixture.coverages) {
      const costs = Array.from({ length: n }, (_, index) => ({ steps: 10 * (index + 1) }));
      const result = medianInterval(costs);
      expect(result.low.steps, `n = ${n}`).toBe(10 * rank);
      expect(result.high.steps, `n = ${n}`).toBe(10 * (n + 1 - rank));
      expect(result.coverage, `n = ${n}`).toBeCloseTo(coverage, 12);
    }
  });

  it('keeps censored costs above all others and says so', () => {
    const costs: Cost[] = [{ steps: 300, censored: true }, { steps: 48 }, { steps: 300 }];
    expect(formatMedian(medianInterval(costs))).toBe('300 (48 to > 300, n = 3)');
    expect(formatMedian(medianInterval([costs[0], costs[1]]))).toBe('> 174 (48 to > 300, n = 2)');
    expect(formatMedian(medianInterval([costs[0]]))).toBe('> 300 (n = 1)');
    expect(() => medianInterval([])).toThrow(InputError);
  });

  it('does not depend on the order of the seeds', () => {
    const arbitrary = fc.array(fc.record({ steps: fc.nat(500), censored: fc.boolean() }), { minLength: 1 });
    fc.assert(
      fc.property(arbitrary, (costs) => {
        expect(medianInterval(costs.toReversed())).toEqual(medianInterval(costs));
      }),
    );
  });
});
