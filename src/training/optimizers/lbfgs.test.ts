import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../../test/support/compare.js';
import { SmoothProblem } from '../../../test/support/smooth-problem.js';
import { optimizers } from './index.js';

interface Fixture {
  cases: {
    options: Record<string, unknown>;
    learningRate: number;
    weights: number[];
    steps: { losses: number[]; params: string }[];
  }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/lbfgs.json', import.meta.url), 'utf8'),
);

/** Parameters are float32 here: differences of gradients make their rounding (6e-8) grow from step to step. */
const tolerance = 5e-5;

describe('L-BFGS equals torch.optim.LBFGS', () => {
  it.each(fixture.cases)('$options at $learningRate: the same losses asked for, the same parameters', async (row) => {
    const problem = new SmoothProblem(undefined, row.weights);
    const optimizer = optimizers.get('lbfgs').create(row.options);
    const state = optimizer.init(problem.params);
    expect(row.steps.length).toBeGreaterThan(1);
    for (const [step, expected] of row.steps.entries()) {
      const oracle = problem.oracle(step);
      const losses = [oracle.loss];
      await optimizer.update(problem.evaluate(step).gradients, state, problem.params, row.learningRate, {
        ...oracle,
        evaluate: async () => {
          const found = await oracle.evaluate();
          losses.push(found.loss);
          return found;
        },
      });
      const params = [...problem.params.values()].flatMap((values) => [...values]);
      const wanted = new Float32Array(Uint8Array.from(Buffer.from(expected.params, 'base64')).buffer);
      expect([
        ...outOfTolerance(`losses of step ${step}`, losses, expected.losses, tolerance),
        ...outOfTolerance(`parameters after step ${step}`, params, wanted, tolerance),
      ]).toEqual([]);
    }
  });
});
