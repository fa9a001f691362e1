import { expect, it } from 'vitest';
import { readPlan } from './plan.js';

it('the example is a plan', async () => {
  const { models, locks, attacks } = await readPlan('examples/sweep.yaml');
  expect(models.map(({ name }) => name)).toEqual(['cnn']);
  expect(locks.map(({ method, seeds, sham }) => ({ method, seeds, sham }))).toEqual([
    { method: ['specdef'], seeds: [1, 2, 3], sham: true },
    { method: ['specdef'], seeds: [1], sham: false },
  ]);
  // What is left out has the defaults of `weightlock lock` and `weightlock attack`.
  expect(locks[1]).toMatchObject({ specdef: { alpha: 0.5, steps: 500, topK: expect.any(Number) } });
  expect(attacks[0]).toMatchObject({
    suite: 'quick',
    optimizers: ['adamw', 'adadelta'],
    target: 0.95,
    knowsLock: false,
  });
});
