import type { Dataset } from '../data/index.js';
import type { HalfType } from '../graph/index.js';
import { type Evaluation, type Evaluator, predictedClass, score } from './evaluate.js';
import type { ParameterSet } from './optimizers/index.js';

/**
 * What a model is released for: not only how often its largest logit is right, but what its probabilities are worth, and how
 * far they are from the original's.
 */
export interface Utility extends Omit<Evaluation, 'loss'> {
  /** Mean cross entropy of the examples with finite logits; null where no example has them. */
  readonly loss: number | null;
  /**
   * Expected calibration error of the predicted class, 0 to 1: the mean distance of confidence and accuracy over 15 bins of
   * equal width, weighted by their examples (Guo et al., ICML 2017). Null where no example has finite logits.
   */
  readonly ece: number | null;
  /** Share of the examples for which the original predicts the same class, 0 to 1. */
  readonly agreement: number;
  /** Mean KL divergence of the original's probabilities to the model's, in nats, of the examples with finite logits; null without. */
  readonly kl: number | null;
  /** Smallest and largest finite logit; null where there is none. */
  readonly logits: readonly [number, number] | null;
  /** Share of the examples with a logit that is not finite: no program can use those outputs. */
  readonly notFinite: number;
}

/** Utility as it is computed by users: in float32, and with every value stored in 16 bits. */
export type UtilityByType = Readonly<Record<'float32' | HalfType, Utility>>;

const bins = 15;

/**
 * Judges logits against labels and the original's logits, both `[n, classes]`. An example with a logit that is not finite
 * counts as wrong and as no agreement.
 */
export function judge(logits: Float32Array, original: Float32Array, labels: Int32Array): Utility {
  const n = labels.length;
  const classes = logits.length / Math.max(n, 1);
  const rowOf = (values: Float32Array, row: number) => values.subarray(row * classes, (row + 1) * classes);
  const finite = [...labels.keys()].filter((row) => rowOf(logits, row).every(Number.isFinite));
  const calibration = Array.from({ length: bins }, () => ({ confidence: 0, correct: 0 }));
  const sums = { loss: 0, kl: 0, agreed: 0 };
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const row of finite) {
    const [own, other] = [rowOf(logits, row), rowOf(original, row)];
    const [p, q] = [logProbabilities(own), logProbabilities(other)];
    const predicted = predictedClass(own);
    const confidence = Math.exp(p[predicted]);
    const bin = calibration[Math.min(bins - 1, Math.max(0, Math.ceil(confidence * bins) - 1))];
    bin.confidence += confidence;
    bin.correct += Number(predicted === labels[row]);
    sums.loss -= p[labels[row]];
    sums.agreed += Number(predicted === predictedClass(other));
    for (let c = 0; c < classes; c++) sums.kl += Math.exp(q[c]) * (q[c] - p[c]);
    for (const value of own) [least, most] = [Math.min(least, value), Math.max(most, value)];
  }
  const mean = (sum: number) => (finite.length > 0 ? sum / finite.length : null);
  const { accuracy, byClass } = score(logits, labels);
  return {
    n,
    accuracy,
    byClass,
    loss: mean(sums.loss),
    ece: mean(calibration.reduce((sum, { confidence, correct }) => sum + Math.abs(confidence - correct), 0)),
    agreement: sums.agreed / n,
    kl: mean(sums.kl),
    logits: finite.length > 0 ? [least, most] : null,
    notFinite: 1 - finite.length / n,
  };
}

function logProbabilities(logits: Float32Array): Float64Array {
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
  return values.map((value) => value - largest - Math.log(sum));
}

/** The utility of weights in float32 and in both 16-bit types, beside the original's float32 logits on the same examples. */
export async function utilityByType(
  evaluator: Evaluator,
  params: ParameterSet,
  dataset: Dataset,
  original: Float32Array,
): Promise<UtilityByType> {
  const of = async (type?: HalfType) =>
    judge(await evaluator.logits(params, dataset, { type }), original, dataset.labels);
  return { float32: await of(), float16: await of('float16'), bfloat16: await of('bfloat16') };
}
