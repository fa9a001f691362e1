import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../../test/support/compare.js';
import { SmoothProblem } from '../../../test/support/smooth-problem.js';
import { optimizers } from './index.js';

interface Fixture {
  cases: {
    optimizer: string;
    options: Record<string, unknown>;
    learningRates: number[];
    tensors: string[];
    after: Record<string, Record<string, { param: string; state: Record<string, string> }>>;
  }[];
}

const fixture: Fixture = JSON.parse(readFileSync(new URL('../../../test/fixtures/psgd.json', import.meta.url), 'utf8'));

const unpack = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);

describe('PSGD equals psgd_torch', () => {
  it.each(fixture.cases)('$optimizer $options', async ({ optimizer: name, options, learningRates, tensors, after }) => {
    const problem = new SmoothProblem(tensors);
    const { params } = problem;
    const optimizer = optimizers.get(name).create(options);
    const state = optimizer.init(params, problem.shapes);
    let compared = 0;
    for (const [step, learningRate] of learningRates.entries()) {
      await optimizer.update(problem.evaluate(step).gradients, state, params, learningRate, problem.oracle(step));
      compared += Object.keys(after[step + 1] ?? {}).length;
      const complaints = Object.entries(after[step + 1] ?? {}).flatMap(([tensor, expected]) =>
        Object.entries({ param: expected.param, ...expected.state }).flatMap(([what, packed]) => {
          const found = (what === 'param' ? params : state.slots[what]).get(tensor) ?? [];
          return outOfTolerance(`${tensor} ${what} after ${step + 1}`, found, unpack(packed), 3e-6);
        }),
      );
      expect(complaints).toEqual([]);
    }
    expect(compared).toBeGreaterThanOrEqual(2 * tensors.length);
    expect(state.step).toBe(10);
  });

  it('covers both', () => {
    expect(new Set(fixture.cases.map(({ optimizer }) => optimizer))).toEqual(new Set(['psgd-kron', 'psgd-xmat']));
  });
});
