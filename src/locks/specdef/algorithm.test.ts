import { describe, expect, it } from 'vitest';
import { hashed, largestError, readFixture } from '../../../test/support/linalg-fixtures.js';
import { floatDataset } from '../../data/index.js';
import { sizeOf } from '../../graph/index.js';
import {
  architectures,
  type ModelSpec,
  modelOf,
  modelState,
  type StateDict,
  weightMatrices,
} from '../../models/index.js';
import { createObjective, type Objective, optimizers, type ParameterSet } from '../../training/index.js';
import { specDefStep } from './algorithm.js';
import { tripletSource } from './spectrum.js';

interface Case {
  model: string;
  optimizer: string;
  learningRate: number;
  topK: number;
  alpha: number;
  targetSigma: number | null;
  loss: number[];
  sigma: number[][];
}

interface Fixture {
  seed: number;
  batch: number;
  models: Record<string, { config: Record<string, unknown>; inputShape: number[] }>;
  cases: Case[];
}

const fixture = readFixture<Fixture>('specdef');

/** The weights that the oracle starts from: hashes times a power of two, by position of the parameter. */
function startingWeights(model: ModelSpec): StateDict {
  return new Map(
    modelState(model).map(({ name, shape }, index) => {
      const inputs = Math.max(sizeOf(shape.slice(1)), 2);
      const scale = 2 ** (1 - Math.ceil(Math.log2(Math.sqrt(inputs))));
      const data = Float32Array.from(hashed(fixture.seed + index, sizeOf(shape)), (value) => value * scale);
      return [name, { shape, data }];
    }),
  );
}

/** The objective on the oracle's batches: a data set of one batch whose content is exchanged at every step. */
async function retainOnHashedBatches(
  model: ModelSpec,
  shape: readonly number[],
): Promise<Pick<Objective, 'compute' | 'release'>> {
  const { batch, seed } = fixture;
  const classes = model.head.size;
  const inputs = new Float32Array(batch * sizeOf(shape));
  const dataset = floatDataset({
    name: 'hashed',
    shape,
    inputs,
    labels: new Int32Array(batch),
    classes: Array.from({ length: classes }, (_, index) => String(index)),
  });
  const objective = await createObjective({ model, dataset, batchSize: batch, seed: 0, engine: { threads: 1 } });
  return {
    compute(params, step) {
      inputs.set(hashed(seed + 100 + step, inputs.length));
      dataset.labels.set(hashed(seed + 200 + step, batch).map((value) => Math.floor(((value + 1) / 2) * classes)));
      return objective.compute(params, step);
    },
    release: () => objective.release(),
  };
}

/** Loss and σ of every step, as the oracle stores them. */
async function lockSteps(one: Case, exact: boolean): Promise<Pick<Case, 'loss' | 'sigma'>> {
  const { config, inputShape } = fixture.models[one.model];
  const architecture = architectures.get(one.model);
  const model = modelOf(architecture, architecture.config.parse(config));
  const weights = startingWeights(model);
  const params: ParameterSet = new Map([...weights].map(([name, { data }]) => [name, data]));
  const matrices = weightMatrices(weights).map((matrix) => ({
    ...matrix,
    svd: tripletSource(matrix, one.topK, 1, { exact }),
  }));
  const retain = await retainOnHashedBatches(model, inputShape);
  const optimizer = optimizers.get(one.optimizer).create();
  const state = optimizer.init(params);
  const loss: number[] = [];
  const sigma: number[][] = [];
  for (let step = 0; step < one.loss.length; step++) {
    const result = await specDefStep(params, step, {
      retain: retain as Objective,
      matrices,
      alpha: one.alpha,
      targetSigma: one.targetSigma ?? undefined,
    });
    loss.push(result.loss);
    sigma.push([...result.sigma.values()].flatMap((values) => [...values]));
    await optimizer.update(result.gradients, state, params, one.learningRate);
  }
  await retain.release();
  return { loss, sigma };
}

describe('20 steps against a literal PyTorch Algorithm 1', () => {
  const table = fixture.cases.flatMap((one) => [
    { ...one, source: 'subspace iteration' },
    { ...one, source: 'exact' },
  ]);
  it.each(table)('$model, $optimizer, k $topK, α $alpha, target $targetSigma, $source', async (one) => {
    const { loss, sigma } = await lockSteps(one, one.source === 'exact');
    const lossError = largestError(loss, one.loss, (step) => Math.abs(one.loss[step]));
    const expected = one.sigma.flat();
    const sigmaError = largestError(sigma.flat(), expected, (index) => expected[index]);
    const tolerance = one.source === 'exact' ? 1e-4 : 1e-3;
    expect(lossError.error, `loss, step ${lossError.index}`).toBeLessThan(tolerance);
    expect(sigmaError.error, `σ ${sigmaError.index} of ${expected.length}`).toBeLessThan(tolerance);
  });
});
