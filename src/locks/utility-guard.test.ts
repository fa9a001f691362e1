import { expect, it } from 'vitest';
import { tasks } from '../tasks/index.js';
import { type UtilityBudget, UtilityGuard } from './utility-guard.js';

const { roles } = tasks.get('classification');
const found = (accuracy: number, kl: number, notFinite = 0) => ({ n: 10, metrics: { accuracy, kl, notFinite } });
const guardOf = (budget: Partial<UtilityBudget> = {}) =>
  new UtilityGuard(
    new Map([['weight', Float32Array.of(1)]]),
    found(0.9, 0),
    {
      ...{ floor: 0.8, maxKl: 0.1, patience: 100 },
      ...budget,
    },
    roles,
  );

it('knows the check that missed its budget by least, until one is within', () => {
  const guard = guardOf();
  expect(guard.nearest).toBeUndefined();
  const checks = [
    found(0.5, 0.05),
    found(0.7, 0.3),
    found(0.6, 0.01),
    found(0.85, 0.9),
    found(0.95, 0.4),
    found(0.81, 0.3),
  ];
  const nearest = checks.map((each, index) => {
    expect(guard.check(index + 1, each)).toBeUndefined();
    return guard.nearest?.step;
  });
  // By the score, and of those that have what it asks for by the divergence.
  expect(nearest).toEqual([1, 2, 2, 4, 5, 6]);
  expect(guard.check(7, found(0.99, 0.01, 0.5))).toBe('stop');
  expect(guard.nearest).toEqual({ step: 6, evaluation: checks[5] });
  guard.check(8, found(0.81, 0.1));
  expect(guard.nearest).toBeUndefined();
});

it('takes it over from a checkpoint', () => {
  const guard = guardOf();
  guard.check(1, found(0.7, 0.2));
  const { extra, meta } = guard.save();
  const other = guardOf();
  other.restore(extra, JSON.parse(JSON.stringify(meta)));
  expect(other.nearest).toEqual({ step: 1, evaluation: found(0.7, 0.2) });
});
