import { beforeAll, describe, expect, it } from 'vitest';
import { distance, doubled, doubleForward, drawn } from '../../../test/support/drawn-models.js';
import { contextOn, type DigitModel, digitModel } from '../../../test/support/locked-digits.js';
import { type LabelledDataset, subset } from '../../data/index.js';
import { exactSingularValues, RandomStream, topSingularTriplets } from '../../linalg/index.js';
import { initializeModel, parameterSet, type StateDict, weightMatrices } from '../../models/index.js';
import { parseOptions } from '../../registry/index.js';
import { Evaluator, type Objective, type ParameterSet } from '../../training/index.js';
import type { LockStepReport } from '../lock-method.js';
import { clippedParams, clipTerm, shrinkRest } from './clipped.js';
import { RaisedEnergy } from './energy.js';
import { foldBatchNorms } from './fold.js';
import { specdefMoved } from './moved.js';

const matrix = { name: 'w', rows: 6, columns: 9 };
const { rows, columns, name } = matrix;
function random(purpose: string, size = rows * columns): Float32Array {
  const values = new Float32Array(size);
  new RandomStream(4, purpose).fillNormal(values, 0, 1);
  return values;
}
const tripletsOf = (values: Float32Array, k: number) => {
  const { sigma, u, v } = topSingularTriplets(values, { rows, columns, k, seed: 1, name });
  return { sigma: sigma.slice(), u: u.slice(), v: v.slice() };
};
const sigma = (values: Float32Array) => exactSingularValues(values, rows, columns);

describe('the raised directions', () => {
  it('are left when the rest shrinks, and cut to a share by a clip', () => {
    const values = random('matrix');
    const before = sigma(values);
    const triplets = tripletsOf(values, 2);
    const shrunk = values.slice();
    shrinkRest(shrunk, matrix, { triplets, share: 0.25 });
    sigma(shrunk).forEach((value, i) => {
      expect(value / before[i]).toBeCloseTo(i < 2 ? 1 : 0.75, 4);
    });
    const clipped = clippedParams(new Map([[name, values]]), [matrix], {
      triplets: new Map([[name, triplets]]),
      level: 0.5,
    });
    const expected = [...before].map((value, i) => (i < 2 ? value / 2 : value)).sort((a, b) => b - a);
    sigma(clipped.get(name) ?? values).forEach((value, i) => {
      expect(value / expected[i]).toBeCloseTo(1, 4);
    });
  });

  it('feel the term of the clipped model as its difference quotients say, and nothing from its bound on', async () => {
    const values = random('matrix');
    const target = random('target');
    const triplets = new Map([[name, tripletsOf(values, 2)]]);
    // ½·|W − T|²/n, whose gradient is known.
    const loss = (params: ParameterSet) =>
      (params.get(name) ?? values).reduce((sum, value, i) => sum + (value - target[i]) ** 2, 0) / (2 * values.length);
    const retain: Objective = {
      stepsPerEpoch: 1,
      shapes: new Map(),
      compute: async (params) => ({
        loss: loss(params),
        gradients: new Map([
          [name, (params.get(name) ?? values).map((value, i) => (value - target[i]) / values.length)],
        ]),
      }),
      release: async () => undefined,
    };
    const term = (bound: number) =>
      clipTerm(new Map([[name, values]]), 0, {
        ...{ retain, matrices: [matrix], triplets, level: 0.25, tracked: new Set<string>(), weight: 3, bound },
      });
    const { term: found, loss: clippedLoss, gradients } = await term(5);
    expect(found).toBeCloseTo(1.5 * 5 * (1 - clippedLoss / 5) ** 2, 5);
    const { u, v } = triplets.get(name) ?? tripletsOf(values, 2);
    /** The clip with the singular vectors held, of weights that moved. */
    const held = (moved: Float64Array): number => {
      const cut = moved.slice();
      for (let j = 0; j < 2; j++) {
        let felt = 0;
        for (let i = 0; i < rows; i++)
          for (let c = 0; c < columns; c++) felt += u[i * 2 + j] * moved[i * columns + c] * v[c * 2 + j];
        for (let i = 0; i < rows; i++)
          for (let c = 0; c < columns; c++) cut[i * columns + c] -= 0.75 * felt * u[i * 2 + j] * v[c * 2 + j];
      }
      const at = cut.reduce((sum, value, i) => sum + (value - target[i]) ** 2, 0) / (2 * values.length);
      return 1.5 * 5 * Math.max(1 - at / 5, 0) ** 2;
    };
    for (const i of [0, 17, 53]) {
      const [up, down] = [1e-4, -1e-4].map((by) => {
        const moved = Float64Array.from(values);
        moved[i] += by;
        return held(moved);
      });
      expect(gradients.get(name)?.[i]).toBeCloseTo((up - down) / 2e-4, 4);
    }
    const beyond = await term(clippedLoss / 2);
    expect(beyond.term).toBe(0);
    expect(beyond.gradients.size).toBe(0);
  });
});

describe('batch norm folded into its convolution', () => {
  it('changes no output in double precision, and leaves nothing to normalize', async () => {
    const model = drawn('resnet20');
    const folded = doubled(model.weights);
    const norms = foldBatchNorms(model, folded as unknown as StateDict);
    expect(norms).toContain('layer2.0.bn2');
    for (const norm of norms) expect(new Set(folded.get(`${norm}.weight`)?.data)).toEqual(new Set([1]));
    const forward = await doubleForward(model);
    expect(distance(await forward.outputs(model.weights), await forward.outputs(folded))).toBeLessThan(1e-12);
    await forward.release();
  });
});

describe('specdef-moved', () => {
  let digits: DigitModel;
  beforeAll(async () => {
    digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
  });

  /** Locks; gives the story, what was reported, and the agreement with the original of the clipped weights. */
  async function locked(options: Record<string, unknown>) {
    const reports: LockStepReport[] = [];
    const context = contextOn(digits, { onStep: (report) => void reports.push(report) });
    const { story } = await specdefMoved.run(
      context,
      parseOptions(
        specdefMoved.options,
        { topK: 2, alpha: 0.5, batchSize: 32, steps: 120, maxDrop: 0.02, maxKl: 0.2, ...options },
        'specdef-moved',
      ),
    );
    const matrices = weightMatrices(context.weights);
    const triplets = new Map(
      matrices.map((each) => {
        const data = context.params.get(each.name) ?? new Float32Array();
        return [each.name, topSingularTriplets(data, { ...each, k: 2, seed: 1 })];
      }),
    );
    const evaluator = new Evaluator(digits.model, { threads: 1 });
    const original = await evaluator.original(parameterSet(digits.model.weights), digits.validation);
    const clipped = clippedParams(context.params, matrices, { triplets, level: 0.25 });
    const { metrics } = await evaluator.evaluate(clipped, digits.validation, { original });
    await evaluator.release();
    await context.release();
    return { story, reports, metrics, params: context.params };
  }

  it('lets a clip delete more of the function than specdef does, within the same budget, and shows how much lies where', async () => {
    const [moved, plain] = [await locked({}), await locked({ shrink: 0, clip: { weight: 0 } })];
    for (const { reports } of [moved, plain]) {
      const shares = reports.flatMap(({ meanEnergy }) => (meanEnergy === undefined ? [] : [Number(meanEnergy)]));
      expect(shares.length).toBe(6);
      for (const share of shares) expect(share > 0 && share < 1).toBe(true);
    }
    expect(moved.reports.every(({ clippedLoss }) => Number.isFinite(clippedLoss))).toBe(true);
    expect(plain.reports.every(({ clippedLoss }) => clippedLoss === undefined)).toBe(true);
    expect(Number(moved.story?.shrinks)).toBeGreaterThan(0);
    expect(plain.story?.shrinks).toBe(0);
    expect(Object.keys(moved.story?.energy ?? {})).toEqual(['fc1.weight', 'fc2.weight', 'fc3.weight']);
    // Measured: 3.5 and 1.2 nats after 120 steps.
    expect(Number(moved.metrics.kl) / Number(plain.metrics.kl)).toBeGreaterThan(1.5);
    expect(Number(moved.metrics.accuracy)).toBeLessThan(Number(plain.metrics.accuracy));
  });

  it('folds before its first step and keeps stored statistics', async () => {
    const model = initializeModel('resnet20', { num_labels: 6, num_channels: 1, image_size: 28 }, 3);
    const few = (dataset: LabelledDataset) =>
      subset(
        dataset,
        Uint32Array.from({ length: 8 }, (_, index) => index),
      );
    const data = { model, train: few(digits.train), validation: few(digits.validation) };
    const short = { steps: 2, batchSize: 4, topK: 1, foldBatchNorm: true, evaluateEvery: 2, learningRate: 1e-5 };
    const context = contextOn(data);
    const options = parseOptions(specdefMoved.options, { ...short, maxDrop: 1, maxKl: null }, 'specdef-moved');
    const { steps, story } = await specdefMoved.run(context, options);
    await context.release();
    expect(steps).toBe(2);
    expect(story?.folded).toHaveLength(19);
    const variance = context.params.get('layer1.0.bn1.running_var') ?? [];
    expect(new Set(variance)).toEqual(new Set([Math.fround(1 - 1e-5)]));
  });
});

it('measures where the function lies on examples from everywhere in a file that is sorted by class', async () => {
  const { model, validation } = await digitModel('mlp', { hidden_sizes: [12, 8] });
  const order = [...validation.labels.keys()].sort((a, b) => validation.labels[a] - validation.labels[b]);
  const matrices = weightMatrices(model.weights, { include: ['fc1.weight'] });
  const params = parameterSet(model.weights);
  const [first] = matrices;
  const triplets = new Map([
    [first.name, topSingularTriplets(params.get(first.name) as Float32Array, { ...first, k: 2, seed: 1 })],
  ]);
  const share = async (positions: readonly number[], seed = 1) => {
    const energy = new RaisedEnergy(model, subset(validation, positions), { seed, engine: { threads: 1 } });
    const found = await energy.shares(params, matrices, triplets);
    await energy.release();
    return found[first.name];
  };
  const [sorted, again, other] = [await share(order), await share(order), await share(order, 2)];
  expect(again).toBe(sorted);
  expect(other).not.toBe(sorted);
  // The first 32 are all zeros, whose inputs lie elsewhere than those of all three.
  expect(await share(order.slice(0, 32))).not.toBe(sorted);
});
