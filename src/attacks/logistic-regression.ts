import type { FlopTally } from '../engine/index.js';
import { WeightlockError } from '../registry/index.js';
import { lbfgs, type ParameterSet } from '../training/index.js';

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

/**
 * Multinomial logistic regression: the classifier that minimizes the mean cross entropy and `penalty / 2 · Σ w²` over its
 * weights, not its bias; by L-BFGS.
 *
 * @param options - `start`: where to begin, the solution for another penalty; default zeros. Not changed. `tally`: counts the
 * products of all evaluations, `[size, width] · [width, answers]` there and back.
 */
export async function fitLogisticRegression(
  { features, labels }: LabelledFeatures,
  { answers, penalty, start, tally }: { answers: number; penalty: number; start?: LinearClassifier; tally?: FlopTally },
): Promise<LinearClassifier> {
  const width = features.length / labels.length;
  const classifier = {
    weight: start?.weight.slice() ?? new Float32Array(answers * width),
    bias: start?.bias.slice() ?? new Float32Array(answers),
  };
  const params: ParameterSet = new Map(Object.entries(classifier));
  const evaluate = async () => {
    if (tally) tally.flops += 4 * features.length * answers;
    return lossAndGradients({ features, labels }, classifier, penalty);
  };
  const { loss, gradients } = await evaluate();
  const optimizer = lbfgs({ maxIterations, historySize: 10, lineSearch: 'strong-wolfe', toleranceGradient: 1e-5 });
  const lossAlone = async () => (await evaluate()).loss;
  const refuse = () =>
    Promise.reject(new WeightlockError('logistic regression: expected no question of second derivatives'));
  const products = { hessianProduct: refuse, gaussNewtonProduct: refuse, kroneckerFactors: refuse };
  const oracle = { loss, evaluations: 1, lossAlone, evaluate, ...products };
  await optimizer.update(gradients, optimizer.init(params), params, 1, oracle);
  return classifier;
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

function lossAndGradients(
  { features, labels }: LabelledFeatures,
  classifier: LinearClassifier,
  penalty: number,
): { loss: number; gradients: ParameterSet } {
  const { weight, bias } = classifier;
  const [size, answers] = [labels.length, bias.length];
  const width = weight.length / answers;
  const logits = logitsOf(classifier, features);
  const ofWeight = new Float64Array(weight.length);
  const ofBias = new Float64Array(answers);
  const p = new Float64Array(answers);
  let loss = 0;
  for (let row = 0; row < size; row++) {
    const own = logits.subarray(row * answers, (row + 1) * answers);
    let largest = Number.NEGATIVE_INFINITY;
    for (const value of own) largest = Math.max(largest, value);
    let sum = 0;
    for (let label = 0; label < answers; label++) {
      p[label] = Math.exp(own[label] - largest);
      sum += p[label];
    }
    loss += (largest + Math.log(sum) - own[labels[row]]) / size;
    for (let label = 0; label < answers; label++) {
      const slope = (p[label] / sum - Number(label === labels[row])) / size;
      ofBias[label] += slope;
      const offset = label * width;
      for (let i = 0; i < width; i++) ofWeight[offset + i] += slope * features[row * width + i];
    }
  }
  let squares = 0;
  for (let i = 0; i < weight.length; i++) {
    squares += weight[i] * weight[i];
    ofWeight[i] += penalty * weight[i];
  }
  const gradients = new Map([
    ['weight', Float32Array.from(ofWeight)],
    ['bias', Float32Array.from(ofBias)],
  ]);
  return { loss: loss + (penalty / 2) * squares, gradients };
}
