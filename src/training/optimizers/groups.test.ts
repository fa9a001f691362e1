import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../../test/support/compare.js';
import { SmoothProblem } from '../../../test/support/smooth-problem.js';
import { createOptimizer, type OptimizerSpec, optimizers, type ParameterSet } from '../index.js';

interface Fixture {
  weights: number[];
  steps: number;
  cases: { spec: OptimizerSpec; learningRate: number; after: Record<string, string> }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/parameter-groups.json', import.meta.url), 'utf8'),
);

/** Parameters are float32 here, and each step's gradient is taken where the rounded ones are. */
const tolerance = 5e-6;

const flat = (params: ParameterSet) => [...params.values()].flatMap((values) => [...values]);
const bits = (params: ParameterSet) => Buffer.from(Float32Array.from(flat(params)).buffer).toString('hex');

/** Some steps on the problem; `from` takes over at a step with a copy of all that a checkpoint holds. */
async function run(spec: OptimizerSpec, steps: number, { from = -1, learningRate = 0.01 } = {}) {
  let problem = new SmoothProblem(undefined, fixture.weights);
  let optimizer = createOptimizer(spec, problem.shapes);
  let state = optimizer.init(problem.params, problem.shapes);
  const after = new Map<number, number[]>();
  for (let step = 0; step < steps; step++) {
    if (step === from) {
      const { params } = problem;
      problem = new SmoothProblem(undefined, fixture.weights);
      for (const [name, values] of params) problem.params.get(name)?.set(values);
      state = structuredClone(state);
      optimizer = createOptimizer(spec, problem.shapes);
    }
    optimizer.prepare?.(state, problem.params);
    const { gradients } = problem.evaluate(step);
    await optimizer.update(gradients, state, problem.params, learningRate, problem.oracle(step));
    after.set(step + 1, flat(problem.params));
  }
  return { params: problem.params, state, after };
}

describe('clipped gradients and parameter groups equal torch.optim', () => {
  it.each(fixture.cases)('$spec', async ({ spec, learningRate, after }) => {
    const found = await run(spec, fixture.steps, { learningRate });
    const problems = Object.entries(after).flatMap(([step, expected]) => {
      const wanted = new Float32Array(Uint8Array.from(Buffer.from(expected, 'base64')).buffer);
      return outOfTolerance(`parameters after step ${step}`, found.after.get(Number(step)) ?? [], wanted, tolerance);
    });
    expect(problems).toEqual([]);
    expect(found.state.step).toBe(fixture.steps);
  });

  it('covers every optimizer with a weight decay', () => {
    const decaying = optimizers.entries().filter(({ options, isJoint }) => !isJoint && 'weightDecay' in options.shape);
    const covered = fixture.cases.filter(({ spec }) => spec.decay === 'matrices').map(({ spec }) => spec.name);
    expect(new Set(covered)).toEqual(new Set(decaying.map(({ name }) => name)));
  });
});

describe.each(optimizers.entries())('$name with clipped gradients', ({ name, options, isJoint }) => {
  const clipNorm = 0.5;
  const groups = { decay: 'matrices', rateFactors: ['s*=0.1', 'kernel=2'] } as const;
  const weightDecay = 'weightDecay' in options.shape ? { weightDecay: 0.1 } : {};
  const spec: OptimizerSpec = { name, options: weightDecay, clipNorm, ...(isJoint ? {} : groups) };

  it('goes on from a copy of its state bit for bit', async () => {
    const straight = await run(spec, 8);
    for (const from of [1, 5]) {
      const resumed = await run(spec, 8, { from });
      expect(bits(resumed.params)).toBe(bits(straight.params));
      expect(resumed.state).toEqual(straight.state);
    }
  });

  it('takes the first step of the clipped gradient, and leaves the gradient alone', async () => {
    const steps = await Promise.all(
      [true, false].map(async (isClipped) => {
        const problem = new SmoothProblem(undefined, fixture.weights);
        const { gradients } = problem.evaluate(0);
        const before = structuredClone(gradients);
        const norm = Math.hypot(...flat(gradients));
        const given = isClipped
          ? gradients
          : new Map(Array.from(gradients, ([key, grad]) => [key, grad.map((g) => (g * clipNorm) / (norm + 1e-6))]));
        const limited: OptimizerSpec = isClipped ? { name, clipNorm } : { name };
        const optimizer = createOptimizer(limited);
        const oracle = problem.oracle(0);
        const evaluate = async () => ({ loss: oracle.loss, gradients: given });
        const state = optimizer.init(problem.params, problem.shapes);
        optimizer.prepare?.(state, problem.params);
        await optimizer.update(given, state, problem.params, 0.01, {
          ...oracle,
          evaluate,
        });
        expect(gradients).toEqual(before);
        return problem.params;
      }),
    );
    expect(outOfTolerance('params', flat(steps[0]), flat(steps[1]), 1e-6)).toEqual([]);
  });

  it('changes nothing where no gradient is so long', async () => {
    const steps = 4;
    expect(bits((await run({ name, clipNorm: 1e30 }, steps)).params)).toBe(bits((await run({ name }, steps)).params));
  });
});

describe('clipped', () => {
  it('gives NaN for an infinite gradient, as torch does, so that the run says so', async () => {
    const optimizer = createOptimizer({ name: 'sgd', clipNorm: 1 });
    const params = new Map([['p', Float32Array.of(1, 2)]]);
    const grads = new Map([['p', Float32Array.of(Number.POSITIVE_INFINITY, 1)]]);
    await optimizer.update(grads, optimizer.init(params), params, 0.1);
    expect(params.get('p')).toEqual(Float32Array.of(Number.NaN, 2));
  });
});
