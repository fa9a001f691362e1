import { type LabelledDataset, loadDigits, selectClasses, splitTrainTest, subset } from '../../src/data/index.js';
import { type LockContext, lockContext, type OpenLockContext } from '../../src/locks/index.js';
import { cloneWeights, initializeModel, type Model, parameterSet } from '../../src/models/index.js';
import { createObjective, optimizers, type ParameterSet, runSteps } from '../../src/training/index.js';

const engine = { threads: 1 };

/** A model that reads digits, and what it is released for: to tell some of them apart. */
export interface DigitModel {
  /** Knows all digits that it was trained on. */
  readonly model: Model;
  /** Examples of the digits that it is released for. */
  readonly train: LabelledDataset;
  readonly validation: LabelledDataset;
  /** Examples of others. */
  readonly others: { readonly train: LabelledDataset; readonly test: LabelledDataset };
}

/** Trains a model on digits 0 to 5, released for 0 to 2. */
export async function digitModel(architecture: 'mlp' | 'cnn', config: Record<string, unknown>): Promise<DigitModel> {
  const digits = await loadDigits();
  const model = initializeModel(architecture, { num_labels: 6, ...config }, 5);
  const parts = (classes: number[]) => splitTrainTest(selectClasses(digits, classes), 0.3, 3);
  const all = parts([0, 1, 2, 3, 4, 5]).train;
  const [own, others] = [parts([0, 1, 2]), parts([3, 4, 5])];
  const objective = await createObjective({ model, dataset: all, batchSize: 32, seed: 1, engine });
  await runSteps({
    params: parameterSet(model.weights),
    compute: (current, step) => objective.compute(current, step),
    optimizer: optimizers.get('adamw').create(),
    learningRate: 2e-3,
    steps: 250,
  });
  await objective.release();
  return {
    model,
    train: first(own.train, 600),
    validation: first(own.test, 300),
    others: { train: first(others.train, 600), test: first(others.test, 600) },
  };
}

function first(dataset: LabelledDataset, count: number): LabelledDataset {
  return subset(
    dataset,
    Uint32Array.from({ length: count }, (_, index) => index),
  );
}

/** The context of a lock on a copy of a model's weights, and these by name. */
export function contextOn(
  {
    model,
    train,
    validation,
    others,
  }: Pick<DigitModel, 'model' | 'train' | 'validation'> & Partial<Pick<DigitModel, 'others'>>,
  more: Pick<LockContext, 'checkpoint' | 'hooks' | 'signal' | 'onStep'> = {},
): OpenLockContext & { params: ParameterSet } {
  const weights = cloneWeights(model.weights);
  const context = lockContext(
    { model: { ...model, weights }, data: { train, validation, adversary: others?.train }, seed: 11, secret: 11 },
    { engine, ...more },
  );
  return { ...context, params: parameterSet(weights) };
}

/** Names of the parameters whose bits differ. */
export function differing(a: ParameterSet, b: ParameterSet): string[] {
  const bits = (values: Float32Array | undefined) =>
    values ? Buffer.from(values.buffer, values.byteOffset, values.byteLength) : Buffer.alloc(0);
  return [...a.keys()].filter((name) => !bits(a.get(name)).equals(bits(b.get(name))));
}
