import { expect, it } from 'vitest';
import { flagsOf, proposalTable } from './recommend-lock.js';

it('writes the options of a lock as flags, those of groups and lists too', () => {
  const options = { maxKl: null, energy: 0.9, attacks: { steps: 16, learningRates: [1e-4, 1e-3] } };
  const point = { model: 'small CNN', method: 'tar', options, lost: [], kl: [], attack: '', seconds: 1 };
  expect(flagsOf({ point })).toEqual([
    ...['--method', 'tar', '--tar.energy', '0.9', '--tar.attacks.steps', '16'],
    ...['--tar.attacks.learning-rates', '0.0001,0.001', '--tar.max-kl', '0.05'],
  ]);
});

it('bounds KL by what was measured, rounded up, and by no less than the method does itself', () => {
  const boundOf = (kl: readonly number[], maxKl?: number | null) => {
    const options = maxKl === undefined ? {} : { maxKl };
    const point = { model: 'small CNN', method: 'erase', options, lost: [], kl, attack: '', seconds: 1 };
    return flagsOf({ point }).slice(2);
  };
  expect(boundOf([0.22, 0.2478], null)).toEqual(['--erase.max-kl', '0.25']);
  expect(boundOf([1.21], null)).toEqual(['--erase.max-kl', '1.3']);
  expect(boundOf([0.3], null)).toEqual(['--erase.max-kl', '0.3']);
  expect(boundOf([0.016], null)).toEqual(['--erase.max-kl', '0.05']);
  expect(boundOf([0.016], 0.02)).toEqual(['--erase.max-kl', '0.02']);
  expect(boundOf([0.016])).toEqual([]);
});

it('shows the largest KL beside the utility, and why a lock that ruins probabilities is not proposed', () => {
  const point = { model: 'small CNN', method: 'specdef', lost: [0.007], kl: [0.3, 2.981], attack: '', seconds: 1 };
  const candidates = [{ point, strength: 'takes a part', against: 'kl' } as const];
  const text = proposalTable({ likest: 'small CNN', differs: [], candidates });
  expect(text).toContain('KL, nats');
  expect(text).toMatch(/0\.7 .*2\.981 .*ruins probabilities/);
});
