import { afterAll, describe, expect, it } from 'vitest';
import { Graph, matMul, meanSquaredError, mul, type Tensor, transpose } from '../../src/graph/index.js';
import { RandomStream, symmetricEigen } from '../../src/linalg/index.js';
import { batchInput, Scope, zeros } from '../../src/nn/index.js';
import {
  exactCurvature,
  figure2Data,
  figure2Networks,
  figure2Surface,
  figure2Weights,
  LossSurface,
  largestSingularValuesOf,
  localModel,
  lossGraph,
  measuredStableRate,
  measuredSteps,
  pathSteps,
  predictedSteps,
  stableRate,
  trained,
  withLargestSingularValue,
  withRaisedSingularValues,
} from '../../src/theory/index.js';
import { adamLimits } from './adamw-limits.js';

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

describe('local models laid end to end', () => {
  it('need one model on a quadratic, and say the measured steps', async () => {
    const model = await localModel(surface, start);
    const rate = 0.2 * stableRate(model);
    for (const share of [0.5, 0.1]) {
      const goal = { target: share * model.loss, budget: 2000 };
      const { steps } = await measuredSteps(surface, start, { rate }, goal);
      expect(await pathSteps(surface, start, rate, goal)).toMatchObject({ steps, models: 1 });
    }
  });

  it('follow a network on which one model is far off, in fewer evaluations than there are steps', async () => {
    const network = figure2Networks.cnn;
    const curved = figure2Surface(network, figure2Data(network, 1));
    const point = curved.pointOf(withLargestSingularValue(network, figure2Weights(network, 1), 8));
    const model = await localModel(curved, point);
    const rate = 0.25 * stableRate(model);
    const goal = { target: 1.2, budget: 5000 };
    const { steps = Number.NaN } = await measuredSteps(curved, point, { rate }, goal);
    const path = await pathSteps(curved, point, rate, goal);
    expect(steps).toBeGreaterThan(500);
    expect(predictedSteps(model, { rate }, goal)).toBeLessThan(steps / 10);
    expect((path.steps ?? Number.NaN) / steps).toBeGreaterThan(0.8);
    expect((path.steps ?? Number.NaN) / steps).toBeLessThan(1.25);
    expect(path.evaluations).toBeLessThan(steps);
    await curved.release();
  });

  it('foresee nothing where descent diverges', async () => {
    const rate = 2 * stableRate(await localModel(surface, start));
    expect((await pathSteps(surface, start, rate, { target: 0, budget: 50 })).steps).toBeUndefined();
  });
});

describe('AdamW', () => {
  it('in its own coordinates has the curvature of P^-½ H P^-½, P = diag(|g|)', async () => {
    const { gradient } = await surface.evaluate(start);
    const hessian = await exactCurvature(surface, start);
    const n = hessian.size;
    const scaled = hessian.values.map(
      (value, index) => value / Math.sqrt(Math.abs(gradient[Math.floor(index / n)] * gradient[index % n])),
    );
    const largest = symmetricEigen(scaled, n).values[n - 1];
    const model = await localModel(surface, start, { optimizer: 'adamw' });
    expect(model.sharpness.value / largest).toBeCloseTo(1, 6);
    expect(stableRate(model, { optimizer: 'adamw' }) * largest).toBeCloseTo(38, 4);
  });

  it('begins as its quadratic model does: a step by the sign of each gradient', async () => {
    const model = await localModel(surface, start, { optimizer: 'adamw' });
    const rate = 1e-3;
    const after = (await measuredSteps(surface, start, { rate, optimizer: 'adamw' }, { target: 0, budget: 1 })).last;
    const between = model.loss + 0.5 * (after - model.loss);
    const goal = { target: between, budget: 5 };
    expect(predictedSteps(model, { rate, optimizer: 'adamw' }, goal)).toBe(1);
    expect(
      predictedSteps(model, { rate, optimizer: 'adamw' }, { target: after - 0.5 * (model.loss - after), budget: 5 }),
    ).toBe(2);
  });
});

it('AdamW’s limit 38 / λ_max(P^-½ H P^-½) holds once its second moment has settled, and not from its start', async () => {
  const { held, live, cold } = await adamLimits('mlp', 3000);
  expect(live).toBeGreaterThan(1 / 1.2);
  expect(live).toBeLessThan(1.2);
  expect(held).toBeGreaterThan(1 / 1.2);
  expect(held).toBeLessThan(1.2);
  // From moments of 0 at the same point, by the gradient there, larger rates are stable.
  expect(cold).toBeGreaterThan(2);
});

it('a lock raises σ_max of all matrices and keeps the loss of its own data', async () => {
  const network = figure2Networks.mlp;
  const own = figure2Surface(network, figure2Data(network, 1));
  const released = await trained(own, own.pointOf(figure2Weights(network, 1)), { steps: 300, rate: 0.01 });
  const locked = await withRaisedSingularValues(network, own, released, { steps: 500, rate: 0.02, sigma: 8 });
  const [before, after] = [(await own.evaluate(released)).loss, (await own.evaluate(locked)).loss];
  expect(after).toBeLessThan(1.1 * before);
  const values = new Map(own.blocks.map(({ name, offset, size }) => [name, locked.slice(offset, offset + size)]));
  for (const sigma of largestSingularValuesOf(network, values).values()) expect(sigma).toBeGreaterThan(7.5);
  await own.release();
});
