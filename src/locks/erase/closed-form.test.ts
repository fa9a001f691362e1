import { describe, expect, it } from 'vitest';
import { readFixture } from '../../../test/support/fixtures.js';
import { rankOfEnergy, weightedParts } from './closed-form.js';

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
const { cases } = readFixture<{ cases: Case[] }>('erase.json');

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
