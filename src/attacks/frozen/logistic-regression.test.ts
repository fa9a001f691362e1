import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../../test/support/compare.js';
import { readFixture } from '../../../test/support/fixtures.js';
import { withPrograms } from '../../engine/index.js';
import {
  fitLogisticRegression,
  type LabelledFeatures,
  type LinearClassifier,
  logitsOf,
} from './logistic-regression.js';

interface Case {
  name: string;
  classes: number;
  penalty: number;
  features: number[];
  labels: number[];
  weight: number[];
  bias: number[];
}

const { cases } = readFixture<{ cases: Case[] }>('logistic-regression.json');

const fitted = (
  examples: LabelledFeatures,
  options: { answers: number; penalty: number; start?: LinearClassifier },
): Promise<LinearClassifier> =>
  withPrograms({ threads: 1 }, (programs) => fitLogisticRegression(examples, { ...options, programs }));

describe('logistic regression', () => {
  it.each(cases.map((each) => [each.name, each] as const))('has the weights that torch finds: %s', async (_, each) => {
    const { classes: answers, penalty } = each;
    const examples = { features: Float32Array.from(each.features), labels: Int32Array.from(each.labels) };
    const found = await fitted(examples, { answers, penalty });
    expect(largestDifference(found.weight, each.weight).error).toBeLessThan(2e-3);
    // The same for all classes is no difference.
    const mean = found.bias.reduce((a, b) => a + b) / answers;
    expect(
      largestDifference(
        found.bias.map((value) => value - mean),
        each.bias,
      ).error,
    ).toBeLessThan(2e-3);
    const far = { weight: found.weight.map((value) => value + 1), bias: found.bias.slice() };
    const again = await fitted(examples, { answers, penalty, start: far });
    expect(largestDifference(again.weight, each.weight).error).toBeLessThan(2e-3);
  });

  it('gives a logit for each answer', () => {
    const classifier = { weight: Float32Array.of(1, 0, 0, 2), bias: Float32Array.of(0.5, -1) };
    expect([...logitsOf(classifier, Float32Array.of(3, 4, -1, 1))]).toEqual([3.5, 7, -0.5, 1]);
  });
});
