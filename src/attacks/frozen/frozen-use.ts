import { type Dataset, subset } from '../../data/index.js';
import { type EngineOptions, type ProgramCache, withPrograms } from '../../engine/index.js';
import { RandomStream } from '../../linalg/index.js';
import { InputError } from '../../registry/index.js';
import type { Evaluator } from '../../training/index.js';
import type { SearchResult, TrialLog } from '../search/search.js';
import { type FrozenTrials, frozenTrials } from './frozen-trials.js';
import { fitLogisticRegression, type LinearClassifier, logitsOf } from './logistic-regression.js';
import { sparseProjection } from './projection.js';

/** Options of {@link frozenUse}. */
export interface FrozenUseOptions extends FrozenTrials {
  /** What a classifier sees of each example: outputs of the released model, or more of it, by seed. */
  features: SeededFeatures;
  /** Examples on which the score is measured. */
  test: Dataset;
  /** Judges the classifier. */
  task: Evaluator['task'];
  /** Name of the metric that is the score; default the task's. */
  metric?: string;
  /** Threads and device of the regressions; default those of a program. */
  engine?: EngineOptions;
}

/** What classifiers see of examples, by the seed of the trial. */
export interface SeededFeatures {
  /** What stands for the weights of a seed: seeds with the same see the same. It costs nothing to ask. */
  weightsOf(seed: number): unknown;
  /** What a classifier sees of the examples of a data set. */
  of(dataset: Dataset, seed: number): Promise<Features>;
}

/** What a classifier sees of the examples of a data set. */
export interface Features {
  /** What it may see of them, `[size, width]` each: what fits held-out examples best is chosen. */
  readonly views: readonly Float32Array[];
  /** Floating-point operations that they took. */
  readonly flops: number;
}

/** Penalties that are tried, strong ones first: each solution is where the next one begins. */
const penalties = [3, 2, 1, 0, -1, -2, -3, -4].map((exponent) => 10 ** exponent);
/** Parts that the examples are cut into: each is held out once. */
const folds = 5;

/**
 * Frozen use: what an attacker gets from what a released model gives, such as its outputs alone, without a step of training on
 * its weights. The features, normalized by the training examples, feed a multinomial logistic regression, alone or, where they
 * are few, with their products (more than 2048 are projected at random to so many); that, the view of the examples where there are
 * several, and the penalty are those with the best score on held-out training examples (5-fold cross-validation), so nothing is
 * chosen by what is reported.
 *
 * A trial's learning rate is the penalty, its cost 0 steps where the target is reached.
 */
export async function frozenUse(
  { features, train, test, task, metric: named, target, engine, utility, budget }: FrozenUseOptions,
  log?: TrialLog,
): Promise<SearchResult> {
  const { name: metric } = task.metric(named ?? task.roles.score, test);
  const answersOf = (dataset: Dataset) => {
    const answers = task.answers?.(dataset);
    if (answers) return answers;
    throw new InputError(`${dataset.name}: expected examples with an answer each to fit a classifier to, found none`);
  };
  const { count } = answersOf(test);
  const score = (logits: Float32Array, dataset: Dataset) => {
    const meter = task.meter(dataset, count);
    const positions = Uint32Array.from({ length: dataset.size }, (_, position) => position);
    meter.add({ positions, values: logits, shape: [dataset.size, count] });
    return meter.result();
  };
  /** The best classifier of some examples, judged on the test examples. */
  const fitTo = async (
    { views, flops }: Features,
    { examples, seed, programs }: { examples: Dataset; seed: number; programs: ProgramCache },
  ) => {
    const { of: labels } = answersOf(examples);
    const heldOut = (logits: Float32Array, at: Uint32Array) =>
      score(logits, subset(examples, at)).metrics[metric] ?? Number.NEGATIVE_INFINITY;
    const candidates = [];
    for (const [view, own] of views.entries()) {
      for (const prepare of preparations(own, examples.size)) {
        const fit = { features: prepare(own), labels, answers: count, seed, programs };
        candidates.push({ view, prepare, fit, ...(await bestPenalty(fit, heldOut)) });
      }
    }
    // Of equal ones the first: products, and other views, only where they help.
    const { view, prepare, fit, penalty } = candidates.reduce((a, b) => (b.score > a.score ? b : a));
    const classifier = await along(fit, penalties.slice(0, penalties.indexOf(penalty) + 1));
    const ofTest = await features.of(test, seed);
    const found = score(logitsOf(classifier, prepare(ofTest.views[view])), test);
    return { chosen: penalty, metrics: found.metrics, flops: flops + programs.flops };
  };
  // Without a few-shot rule all seeds have the same examples, and of a model that was not changed the same features.
  const fitted = new WeakMap<Features, ReturnType<typeof fitTo>>();
  /** The first reported seed with the same features: which trials an interrupted run has done decides nothing. */
  const firstOf = (examples: Dataset, seed: number) =>
    budget.seeds.find((other) => train(other) === examples && features.weightsOf(other) === features.weightsOf(seed)) ??
    seed;
  const fit = async (examples: Dataset, seed: number) => {
    const own = await features.of(examples, seed);
    const known =
      fitted.get(own) ??
      withPrograms(engine, (programs) => fitTo(own, { examples, seed: firstOf(examples, seed), programs }));
    fitted.set(own, known);
    return known;
  };
  return frozenTrials({ train, target, utility, budget, metric }, fit, log);
}

interface Fit {
  readonly features: Float32Array;
  readonly labels: Int32Array;
  readonly answers: number;
  readonly seed: number;
  readonly programs: ProgramCache;
}

/** The penalty whose classifiers are best on the examples that they were not fitted to, of equal ones the strongest, and their score. */
async function bestPenalty(
  { features, labels, answers, seed, programs }: Fit,
  judge: (logits: Float32Array, positions: Uint32Array) => number,
): Promise<{ penalty: number; score: number }> {
  const size = labels.length;
  const width = features.length / size;
  const order = new RandomStream(seed, 'folds').permutation(size);
  const rows = (positions: Uint32Array) => {
    const chosen = new Float32Array(positions.length * width);
    positions.forEach((position, row) => {
      chosen.set(features.subarray(position * width, (position + 1) * width), row * width);
    });
    return chosen;
  };
  const totals = penalties.map(() => 0);
  const parts = Math.min(folds, size);
  for (let part = 0; part < parts; part++) {
    const heldOut = order.filter((_, at) => at % parts === part);
    const others = order.filter((_, at) => at % parts !== part);
    if (others.length === 0) continue;
    const examples = { features: rows(others), labels: others.map((position) => labels[position]) };
    const held = rows(heldOut);
    let start: LinearClassifier | undefined;
    for (const [index, penalty] of penalties.entries()) {
      const fitted = { features: examples.features, labels: Int32Array.from(examples.labels) };
      start = await fitLogisticRegression(fitted, { answers, penalty, start, programs });
      totals[index] += judge(logitsOf(start, held), heldOut) * heldOut.length;
    }
  }
  const best = totals.reduce((a, b) => Math.max(a, b));
  return { penalty: penalties[totals.indexOf(best)], score: best };
}

/** The classifier of the last of some penalties. */
async function along({ features, labels, answers, programs }: Fit, path: readonly number[]): Promise<LinearClassifier> {
  let classifier: LinearClassifier | undefined;
  for (const penalty of path) {
    classifier = await fitLogisticRegression({ features, labels }, { answers, penalty, start: classifier, programs });
  }
  if (!classifier) throw new InputError('frozen use: expected a penalty');
  return classifier;
}

/**
 * The regressions that a classifier takes which sees so many numbers of each example, in each of its views: how many fits, of how
 * many numbers.
 */
export function regressionsOf(sees: readonly number[]): { readonly fits: number; readonly width: number }[] {
  const all = sees.flatMap((width) => {
    if (width > mostWithProducts) return [Math.min(width, mostFitted)];
    return [width, width + numberOfProducts(width)];
  });
  // That of the chosen penalty comes last, along the path to it.
  return all.map((width) => ({ fits: (folds + 1 / all.length) * penalties.length, width }));
}

/** Outputs whose products are tried as well at most: what a linear classifier can see of few numbers is little. */
const mostWithProducts = 32;

/** Numbers that a classifier is fitted to at most: what is wider is projected. */
const mostFitted = 2048;

/** What is fitted to: the features normalized, and where they are few also with the products of each two of them. */
function preparations(outputs: Float32Array, size: number): ((outputs: Float32Array) => Float32Array)[] {
  const width = outputs.length / size;
  const normalize = normalization(outputs, size);
  if (width > mostFitted) {
    const project = sparseProjection(width, mostFitted);
    const narrowed = (given: Float32Array) => project(normalize(given));
    const normalizeAll = normalization(narrowed(outputs), size);
    return [(given) => normalizeAll(narrowed(given))];
  }
  if (width > mostWithProducts) return [normalize];
  const expanded = withProducts(normalize(outputs), width);
  const normalizeAll = normalization(expanded, size);
  return [normalize, (given) => normalizeAll(withProducts(normalize(given), width))];
}

/** Products of each two of so many numbers, squares included. */
function numberOfProducts(width: number): number {
  return (width * (width + 1)) / 2;
}

/** Rows of `width` numbers followed by the products of each two of them, squares included. */
function withProducts(values: Float32Array, width: number): Float32Array {
  const size = values.length / width;
  const all = width + numberOfProducts(width);
  const result = new Float32Array(size * all);
  for (let row = 0; row < size; row++) {
    const own = values.subarray(row * width, (row + 1) * width);
    result.set(own, row * all);
    let at = row * all + width;
    for (let i = 0; i < width; i++) for (let j = i; j < width; j++) result[at++] = own[i] * own[j];
  }
  return result;
}

/** Gives outputs `[size, width]` mean 0 and deviation 1 on the training examples, column by column. */
function normalization(values: Float32Array, size: number): (outputs: Float32Array) => Float32Array {
  const width = values.length / size;
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  values.forEach((value, index) => {
    mean[index % width] += value / size;
  });
  values.forEach((value, index) => {
    variance[index % width] += (value - mean[index % width]) ** 2 / size;
  });
  const deviation = variance.map((value) => Math.sqrt(value) || 1);
  return (outputs) => outputs.map((value, index) => (value - mean[index % width]) / deviation[index % width]);
}
