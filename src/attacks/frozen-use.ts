import { type Dataset, withInputs } from '../data/index.js';
import { type EngineOptions, ProgramCache } from '../engine/index.js';
import { architectures, initializeModel, type ModelSpec, parameterSet, type StateDict } from '../models/index.js';
import { Evaluator } from '../training/index.js';
import type { FineTuneOptimizer } from './fine-tune.js';
import { type SearchBudget, type SearchResult, searchLearningRate, type TrialLog } from './search.js';

/** Options of {@link frozenUse}. */
export interface FrozenUseOptions {
  /** Architecture and configuration of the released model. */
  model: ModelSpec;
  /** Its weights, not changed. */
  weights: StateDict;
  /** Labelled examples of the unauthorized task, by seed. */
  train: (seed: number) => Dataset;
  /** Examples on which the score is measured. */
  test: Dataset;
  /** Optimizer steps at most. */
  steps: number;
  /** Examples a step. */
  batchSize: number;
  /** Name of the metric that is the score; default the task's. */
  metric?: string;
  /** Score that ends a run. */
  target?: number;
  /** Whether a run goes on after the target; default false. */
  continueAfterTarget?: boolean;
  /** When a run is given up. */
  giveUpBelow?: number;
  /** Ratio of steps between two measurements. */
  evaluationSpacing?: number;
  /** Steps between two measurements at least; default 4. */
  evaluateEvery?: number;
  /** Schedule of the classifier's learning rate; default constant. */
  schedule?: FineTuneOptimizer['schedule'];
  /** Learning rates and seeds; AdamW. */
  budget: SearchBudget;
  /** Measures the released model. */
  evaluator: Evaluator;
  /** Device, and threads inside one operator (default 1), of the classifier. */
  engine?: EngineOptions;
}

const hiddenSize = 64;

/**
 * Frozen use: what an attacker gets from the released model's outputs alone. Its logits, normalized by the training
 * examples, feed a classifier with one hidden layer of 64, trained with AdamW; the released weights stay untouched.
 */
export async function frozenUse(
  { model, weights, train, test, evaluator, budget, engine, schedule, ...rest }: FrozenUseOptions,
  log?: TrialLog,
): Promise<SearchResult> {
  const params = parameterSet(weights);
  const outputs = async (dataset: Dataset): Promise<Outputs> => ({
    dataset,
    values: await evaluator.outputs(params, dataset),
  });
  const { task } = evaluator;
  const raw = await outputs(test);
  const trains = new Map<number, Outputs>();
  // Without a few-shot rule all seeds have the same examples.
  const known = new Map<Dataset, Outputs>();
  for (const seed of [...budget.searchSeeds, ...budget.seeds]) {
    const dataset = train(seed);
    const found = known.get(dataset) ?? (await outputs(dataset));
    known.set(dataset, found);
    trains.set(seed, found);
  }
  const width = raw.values.length / test.size;
  const fitting = architectures.get('mlp').fit({ x: { shape: [width], dtype: 'float32' } }, task.headFor(test));
  const classifier = (seed: number) => initializeModel('mlp', { ...fitting, hidden_sizes: [hiddenSize] }, seed);
  const programs = new ProgramCache({ threads: 1, ...engine });
  const own = new Evaluator(classifier(0), { threads: 1, ...engine }, { task, batchSize: 1024 });
  try {
    return await searchLearningRate(
      (seed) => {
        const fresh = classifier(seed);
        const examples = trains.get(seed) ?? raw;
        const normalize = normalization(examples, width);
        return {
          ...rest,
          model: fresh,
          weights: fresh.weights,
          train: normalize(examples),
          test: normalize(raw),
          optimizer: { name: 'adamw', schedule },
          programs,
          evaluator: own,
        };
      },
      budget,
      log,
    );
  } finally {
    await programs.release();
    await own.release();
  }
}

/** Examples and what the released model says of them. */
interface Outputs {
  dataset: Dataset;
  /** `[size, width]`. */
  values: Float32Array;
}

/** Turns outputs into a data set whose every column has mean 0 and deviation 1 on the training examples. */
function normalization({ values, dataset: { size } }: Outputs, width: number): (outputs: Outputs) => Dataset {
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  values.forEach((value, index) => {
    mean[index % width] += value / size;
  });
  values.forEach((value, index) => {
    variance[index % width] += (value - mean[index % width]) ** 2 / size;
  });
  const deviation = variance.map((value) => Math.sqrt(value) || 1);
  return (outputs) =>
    withInputs(
      outputs.dataset,
      outputs.values.map((value, index) => (value - mean[index % width]) / deviation[index % width]),
      [width],
    );
}
