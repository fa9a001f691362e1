import { type Dataset, floatDataset } from '../data/index.js';
import { type EngineOptions, ProgramCache } from '../engine/index.js';
import { initializeModel, type ModelSpec, parameterSet, type StateDict } from '../models/index.js';
import { Evaluator } from '../training/index.js';
import type { Metric, Trial } from './fine-tune.js';
import { type SearchBudget, type SearchResult, searchLearningRate } from './search.js';

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
  /** What is measured; default accuracy. */
  metric?: Metric;
  /** Score that ends a run. */
  target?: number;
  /** Whether a run goes on after the target; default false. */
  continueAfterTarget?: boolean;
  /** When a run is given up. */
  giveUpBelow?: number;
  /** Ratio of steps between two measurements. */
  evaluationSpacing?: number;
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
  { model, weights, train, test, evaluator, budget, engine, ...rest }: FrozenUseOptions,
  onTrial?: (trial: Trial) => void,
): Promise<SearchResult> {
  const params = parameterSet(weights);
  const outputs = async (dataset: Dataset): Promise<Outputs> => ({
    dataset,
    logits: await evaluator.logits(params, dataset),
  });
  const width = model.architecture.classes(model.config);
  const raw = await outputs(test);
  const trains = new Map<number, Outputs>();
  for (const seed of [...budget.searchSeeds, ...budget.seeds]) trains.set(seed, await outputs(train(seed)));
  const classifier = (seed: number) =>
    initializeModel('mlp', { input_shape: [width], num_labels: test.classes.length, hidden_sizes: [hiddenSize] }, seed);
  const programs = new ProgramCache({ threads: 1, ...engine });
  const own = new Evaluator(classifier(0), { threads: 1, ...engine }, 1024);
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
          optimizer: { name: 'adamw' },
          programs,
          evaluator: own,
        };
      },
      budget,
      onTrial,
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
  logits: Float32Array;
}

/** Turns outputs into a data set whose every column has mean 0 and deviation 1 on the training examples. */
function normalization({ logits, dataset: { size } }: Outputs, width: number): (outputs: Outputs) => Dataset {
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  logits.forEach((value, index) => {
    mean[index % width] += value / size;
  });
  logits.forEach((value, index) => {
    variance[index % width] += (value - mean[index % width]) ** 2 / size;
  });
  const deviation = variance.map((value) => Math.sqrt(value) || 1);
  return (outputs) =>
    floatDataset({
      ...outputs.dataset,
      inputShape: [width],
      inputs: outputs.logits.map((value, index) => (value - mean[index % width]) / deviation[index % width]),
    });
}
