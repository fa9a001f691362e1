import { describe, expect, it } from 'vitest';
import { readFixture } from '../../../test/support/fixtures.js';
import { rankOfEnergy, weightedParts, withoutNeeds } from './closed-form.js';

interface Case {
  rows: number;
  columns: number;
  ridge: number;
  w: number[];
  left: number[];
  right: number[];
  energies: number[];
  kept: Record<string, number[]>;
}
interface NeedsCase {
  rows: number;
  columns: number;
  ridge: number;
  weight: number;
  w: number[];
  left: number[];
  right: number[];
  leftNeeds: number[];
  rightNeeds: number[];
  found: number[];
}
const { cases, needs } = readFixture<{ cases: Case[]; needs: NeedsCase[] }>('erase.json');

describe.each(cases.map((each) => [`${each.rows}×${each.columns}, ridge ${each.ridge}`, each] as const))(
  'the parts of a matrix under two metrics: %s',
  (_, { rows, columns, ridge, w, left, right, energies, kept }) => {
    const parts = weightedParts(
      Float32Array.from(w),
      { n: rows, values: Float64Array.from(left) },
      { n: columns, values: Float64Array.from(right) },
      ridge,
    );

    it('are worth what the singular values by symmetric roots say', () => {
      expect(parts.energies.length).toBe(energies.length);
      energies.forEach((energy, index) => {
        expect(Math.abs(parts.energies[index] - energy)).toBeLessThan(1e-12 * energies[0]);
      });
    });

    it.each(Object.entries(kept))('of rank %s, mapped back', (rank, expected) => {
      const found = parts.keep(Number(rank));
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expected.forEach((value, index) => {
        expect(Math.abs(found[index] - value)).toBeLessThan(1e-6 * largest);
      });
    });
  },
);

it('the least rank that keeps a share of the energy, at least one', () => {
  const energies = Float64Array.of(8, 1, 0.5, 0.5);
  expect([0, 0.8, 0.81, 0.9, 0.95, 1].map((share) => rankOfEnergy(energies, share))).toEqual([1, 1, 2, 2, 3, 4]);
});

describe.each(needs.map((each) => [`${each.rows}×${each.columns}, weight ${each.weight}`, each] as const))(
  'a matrix without what others need: %s',
  (_, { rows, columns, ridge, weight, w, left, right, leftNeeds, rightNeeds, found }) => {
    it('is the solution of the normal equations', () => {
      const metric = (n: number, values: number[]) => ({ n, values: Float64Array.from(values) });
      const rest = withoutNeeds(
        Float32Array.from(w),
        [metric(rows, left), metric(columns, right)],
        [metric(rows, leftNeeds), metric(columns, rightNeeds)],
        { ridge, weight },
      );
      const largest = w.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      found.forEach((value, at) => {
        expect(Math.abs(rest[at] - value)).toBeLessThan(1e-6 * largest);
      });
    });
  },
);
