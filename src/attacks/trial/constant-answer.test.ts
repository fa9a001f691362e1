import { expect, it } from 'vitest';
import { floatDataset } from '../../data/index.js';
import { tasks } from '../../tasks/index.js';
import { constantScore } from './constant-answer.js';

it('is the score of the answer that is best given always, by the metric that counts', () => {
  const labels = Int32Array.from([0, 0, 0, 1, 1]);
  const dataset = floatDataset({
    name: 'five',
    inputs: new Float32Array(5),
    shape: [1],
    labels,
    classes: ['no', 'yes'],
  });
  const classification = tasks.get('classification');
  expect(constantScore(classification, dataset)).toBeCloseTo(3 / 5, 12);
  // Always yes: 2 of 5 are right, and none is missed.
  expect(constantScore(classification, dataset, 'f1.1')).toBeCloseTo((2 * 2) / (2 * 2 + 3), 12);
  expect(constantScore(tasks.get('causal-lm'), dataset)).toBeUndefined();
});
