import { afterAll, describe, expect, it } from 'vitest';
import { Graph, matMul, meanSquaredError, mul, type Tensor, transpose } from '../../src/graph/index.js';
import { RandomStream } from '../../src/linalg/index.js';
import { batchInput, Scope, zeros } from '../../src/nn/index.js';
import {
  LossSurface,
  localModel,
  lossGraph,
  measuredStableRate,
  measuredSteps,
  predictedSteps,
  stableRate,
} from '../../src/theory/index.js';

/** Linear regression: a quadratic, of which the local model is no approximation. */
function regression(): LossSurface {
  const [size, width] = [12, 5];
  const stream = new RandomStream(8, 'regression');
  const build = () => {
    const graph = new Graph();
    const scope = new Scope(graph, true, 'float64');
    const x = graph.input(batchInput('x'), [size, width], 'float64');
    const h = matMul(x, transpose(scope.parameter('W', [1, width], zeros)));
    const loss = meanSquaredError(h, graph.input(batchInput('y'), [size, 1], 'float64'));
    const curvature = (_: Tensor, u: Tensor) => mul(u, 2 / size);
    return lossGraph({ loss, output: h, parameters: scope.parameterInputs, curvature });
  };
  const draw = (count: number) => Float64Array.from({ length: count }, () => stream.normal());
  return new LossSurface(
    build,
    { [batchInput('x')]: draw(size * width), [batchInput('y')]: draw(size) },
    { threads: 1 },
  );
}

const surface = regression();
afterAll(() => surface.release());
const start = Float64Array.of(3, -2, 1, 0, 4);

describe.each([0, 0.9])('on a quadratic, momentum %d', (momentum) => {
  it('the predicted steps to a loss are the measured ones', async () => {
    const model = await localModel(surface, start);
    const rate = 0.4 * stableRate(model, { momentum });
    for (const share of [0.5, 0.2, 0.1]) {
      const goal = { target: share * model.loss, budget: 2000 };
      const { steps } = await measuredSteps(surface, start, { rate, momentum }, goal);
      expect(steps).toBeGreaterThan(0);
      expect(predictedSteps(model, { rate, momentum }, goal)).toBe(steps);
    }
  });

  it('the predicted largest learning rate is the measured one', async () => {
    const predicted = stableRate(await localModel(surface, start), { momentum });
    const run = (rate: number) =>
      measuredSteps(surface, start, { rate, momentum }, { target: Number.NEGATIVE_INFINITY, budget: 3000 });
    expect((await run(0.99 * predicted)).last).toBeLessThan(100);
    expect((await run(1.01 * predicted)).highest).toBeGreaterThan(1e6);
    if (momentum > 0) return;
    const found = await measuredStableRate(surface, start, { guess: predicted / 7, steps: 500 });
    expect(found / predicted).toBeCloseTo(1, 1);
  });
});

it('no steps are predicted to where the model does not get', async () => {
  const model = await localModel(surface, start);
  const rate = stableRate(model) / 2;
  expect(predictedSteps(model, { rate }, { target: -1, budget: 500 })).toBeUndefined();
  expect(predictedSteps(model, { rate: 4 * rate }, { target: 0, budget: 500 })).toBeUndefined();
  expect(predictedSteps(model, { rate }, { target: model.loss, budget: 0 })).toBe(0);
});
