import type { Program, ProgramCache } from '../../engine/index.js';
import { Graph, gemm } from '../../graph/index.js';
import { RandomStream } from '../../linalg/index.js';
import { WeightlockError } from '../../registry/index.js';
import { lbfgs, type ParameterSet } from '../../training/index.js';

/** A linear classifier: logits `W x + b`. */
export interface LinearClassifier {
  /** `[answers, width]`, row-major. */
  readonly weight: Float32Array;
  /** `[answers]`. */
  readonly bias: Float32Array;
}

/** Examples to fit a classifier to. */
export interface LabelledFeatures {
  /** `[size, width]`, row-major. */
  readonly features: Float32Array;
  /** The right answer of each, `[size]`. */
  readonly labels: Int32Array;
}

/** Iterations at most; what is penalized has converged long before. */
const maxIterations = 200;

/** Iterations of a fit that begins at the solution for a stronger penalty (measured on hidden layers of a ResNet-20: 45). */
const usualIterations = 45;

/**
 * Multinomial logistic regression: the classifier that minimizes the mean cross entropy and `penalty / 2 · Σ w²` over its
 * weights, not its bias; by L-BFGS. The products with the features run on the engine, all else in double precision here.
 *
 * @param options - `programs`: where the products are compiled, one pair for each size. `start`: where to begin, the solution for
 *   another penalty; default zeros. Not changed. `iterations`: at most; default 200, which suffice.
 */
export async function fitLogisticRegression(
  { features, labels }: LabelledFeatures,
  options: {
    answers: number;
    penalty: number;
    programs: ProgramCache;
    start?: LinearClassifier;
    iterations?: number;
  },
): Promise<LinearClassifier> {
  const { answers, penalty, programs, start, iterations = maxIterations } = options;
  const width = features.length / labels.length;
  const classifier = {
    weight: start?.weight.slice() ?? new Float32Array(answers * width),
    bias: start?.bias.slice() ?? new Float32Array(answers),
  };
  const { weight, bias } = classifier;
  const params: ParameterSet = new Map(Object.entries(classifier));
  const sizes = { size: labels.length, width, answers };
  const evaluate = async () => {
    const { logits } = await (await logitsProgram(programs, sizes)).run({ features, weight });
    const { loss, slopes, ofBias } = crossEntropy(logits as Float32Array, labels, bias);
    const { ofLoss } = await (await slopesProgram(programs, sizes)).run({ features, slopes });
    const ofWeight = Float32Array.from(ofLoss as Float32Array, (slope, i) => slope + penalty * weight[i]);
    const squares = weight.reduce((sum, value) => sum + value * value, 0);
    const gradients = [
      ['weight', ofWeight],
      ['bias', ofBias],
    ] as const;
    return { loss: loss + (penalty / 2) * squares, gradients: new Map(gradients) };
  };
  const { loss, gradients } = await evaluate();
  const optimizer = lbfgs({
    maxIterations: iterations,
    historySize: 10,
    lineSearch: 'strong-wolfe',
    toleranceGradient: 1e-5,
  });
  const lossAlone = async () => (await evaluate()).loss;
  const refuse = () =>
    Promise.reject(new WeightlockError('logistic regression: expected no question of second derivatives'));
  const products = { hessianProduct: refuse, gaussNewtonProduct: refuse, kroneckerFactors: refuse };
  const oracle = { loss, evaluations: 1, lossAlone, evaluate, ...products };
  await optimizer.update(gradients, optimizer.init(params), params, 1, oracle);
  return classifier;
}

/** How large a regression is. */
export interface RegressionSizes {
  /** Examples that it is fitted to. */
  readonly size: number;
  /** Numbers of each. */
  readonly width: number;
  /** Answers that it chooses among. */
  readonly answers: number;
}

/** Seconds that a fit of such sizes takes here, by a few iterations on random numbers. */
export async function secondsOfRegression(
  { size, width, answers }: RegressionSizes,
  programs: ProgramCache,
): Promise<number> {
  const stream = new RandomStream(1, 'regression');
  const features = new Float32Array(size * width);
  stream.fillNormal(features, 0, 1);
  const labels = Int32Array.from({ length: size }, (_, index) => index % answers);
  const fitFor = (iterations: number) =>
    fitLogisticRegression({ features, labels }, { answers, penalty: 1, programs, iterations });
  // Compiles the programs.
  await fitFor(1);
  const started = performance.now();
  await fitFor(timedIterations);
  return ((performance.now() - started) / 1000) * (usualIterations / timedIterations);
}

const timedIterations = 5;

/** `logits [size, answers] = features · weightᵀ`, without the bias. */
function logitsProgram(programs: ProgramCache, { size, width, answers }: RegressionSizes): Promise<Program> {
  return programs.get(`regression logits ${size} ${width} ${answers}`, () => {
    const graph = new Graph();
    const [features, weight] = [graph.input('features', [size, width]), graph.input('weight', [answers, width])];
    return { logits: gemm(features, weight, undefined, { transB: true }) };
  });
}

/** `ofLoss [answers, width] = slopesᵀ · features`. */
function slopesProgram(programs: ProgramCache, { size, width, answers }: RegressionSizes): Promise<Program> {
  return programs.get(`regression slopes ${size} ${width} ${answers}`, () => {
    const graph = new Graph();
    const [features, slopes] = [graph.input('features', [size, width]), graph.input('slopes', [size, answers])];
    return { ofLoss: gemm(slopes, features, undefined, { transA: true }) };
  });
}

/** Logits `[size, answers]` of features `[size, width]`. */
export function logitsOf({ weight, bias }: LinearClassifier, features: Float32Array): Float32Array {
  const answers = bias.length;
  const width = weight.length / answers;
  const size = features.length / width;
  const logits = new Float32Array(size * answers);
  for (let row = 0; row < size; row++) {
    const from = row * width;
    for (let label = 0; label < answers; label++) {
      const offset = label * width;
      let sum = bias[label];
      for (let i = 0; i < width; i++) sum += weight[offset + i] * features[from + i];
      logits[row * answers + label] = sum;
    }
  }
  return logits;
}

/** Mean cross entropy of `logits + bias`, and its slopes by the logits, `[size, answers]`, and by the bias. */
function crossEntropy(
  logits: Float32Array,
  labels: Int32Array,
  bias: Float32Array,
): { loss: number; slopes: Float32Array; ofBias: Float32Array } {
  const [size, answers] = [labels.length, bias.length];
  const slopes = new Float32Array(size * answers);
  const ofBias = new Float64Array(answers);
  const own = new Float64Array(answers);
  const p = new Float64Array(answers);
  let loss = 0;
  for (let row = 0; row < size; row++) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let label = 0; label < answers; label++) {
      own[label] = logits[row * answers + label] + bias[label];
      largest = Math.max(largest, own[label]);
    }
    let sum = 0;
    for (let label = 0; label < answers; label++) {
      p[label] = Math.exp(own[label] - largest);
      sum += p[label];
    }
    loss += (largest + Math.log(sum) - own[labels[row]]) / size;
    for (let label = 0; label < answers; label++) {
      const slope = (p[label] / sum - Number(label === labels[row])) / size;
      ofBias[label] += slope;
      slopes[row * answers + label] = slope;
    }
  }
  return { loss, slopes, ofBias: Float32Array.from(ofBias) };
}
