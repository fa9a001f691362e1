import { expect, it } from 'vitest';
import { claimsOf } from './prediction.js';
import type { ResultPair } from './reproduction.js';

it('counts a slowdown that was foreseen beyond the budget and found there as right, and says so', () => {
  const pair = (predicted: number | null, measured: number | null): ResultPair => ({
    ...{ panel: 'gradient descent', label: 'cnn', form: 'locked', predicted, measured },
  });
  const slowdown = (pairs: ResultPair[]) => {
    const scatter = { title: '', name: '', quantity: 'slowdown', within: 2, pairs };
    return claimsOf([{ ...scatter, pairs: [] }, scatter])[0];
  };
  const near = Array.from({ length: 8 }, () => pair(10, 15));
  expect(slowdown([...near, pair(null, null), pair(10, 30)])).toMatchObject({
    text: 'The slowdown (gradient descent) is foreseen of nine in ten locked models: within a factor of 2, or, of what the budget does not reach, foreseen to be so.',
    verdict: 'holds',
    finding: expect.stringContaining(
      '9 of 10 right (90 %): 8 within the factor, 1 foreseen and found beyond the budget, measured over predicted',
    ),
  });
  expect(slowdown([...near, pair(null, 20), pair(10, 30)])).toMatchObject({
    verdict: 'fails',
    finding: expect.stringContaining(
      '8 of 10 right (80 %): 8 within the factor, 1 beyond the budget on one side alone',
    ),
  });
});
