import { expect, it } from 'vitest';
import { flagsOf } from './recommend-lock.js';

it('writes the options of a lock as flags, those of groups and lists too', () => {
  const options = { maxKl: null, energy: 0.9, attacks: { steps: 16, learningRates: [1e-4, 1e-3] } };
  const point = { model: 'small CNN', method: 'tar', options, lost: [], kl: [], attack: '', seconds: 1 };
  expect(flagsOf({ point })).toEqual([
    ...['--method', 'tar', '--tar.max-kl', 'null', '--tar.energy', '0.9'],
    ...['--tar.attacks.steps', '16', '--tar.attacks.learning-rates', '0.0001,0.001'],
  ]);
});
