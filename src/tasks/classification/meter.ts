import { WeightlockError } from '../../registry/index.js';
import type { Evaluation, Meter, Outputs } from '../task.js';

/** How often a class occurs and is predicted. */
interface ClassCounts {
  /** Examples of the class. */
  examples: number;
  /** Examples of any class that are taken for it. */
  predicted: number;
  /** Examples of the class that are taken for it. */
  correct: number;
}

/** F1 of a class: harmonic mean of precision and recall, 0 to 1; 0 where the class neither occurs nor is predicted. */
function f1({ examples, predicted, correct }: ClassCounts): number {
  return examples + predicted === 0 ? 0 : (2 * correct) / (examples + predicted);
}

/** Position of the largest logit, the first of equal ones; −1 where one is not finite: what it stands for is lost. */
function predictedClass(logits: Float32Array): number {
  let best = 0;
  for (let index = 0; index < logits.length; index++) {
    if (!Number.isFinite(logits[index])) return -1;
    if (logits[index] > logits[best]) best = index;
  }
  return best;
}

/**
 * Accuracy, mean cross entropy, and recall and F1 of each class, of logits `[n, classes]`. A row with a logit that is not
 * finite counts as wrong. The first class is 0; the recall of a class without examples is null.
 */
export class ScoreMeter implements Meter {
  readonly #counts: ClassCounts[];
  #rows = 0;
  #loss = 0;

  /**
   * @param labels - Class of each example.
   * @param width - Number of logits of each.
   */
  constructor(
    readonly labels: Int32Array,
    readonly width: number,
  ) {
    this.#counts = Array.from({ length: width }, () => ({ examples: 0, predicted: 0, correct: 0 }));
  }

  add({ values: logits, positions }: Pick<Outputs, 'values' | 'positions'>): void {
    for (const [row, position] of positions.entries()) {
      const values = logits.subarray(row * this.width, (row + 1) * this.width);
      const label = this.labels[position];
      this.#rows++;
      const predicted = predictedClass(values);
      this.#counts[label].examples++;
      if (predicted >= 0) this.#counts[predicted].predicted++;
      if (predicted === label) this.#counts[predicted].correct++;
      const largest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
      this.#loss += largest + Math.log(sum) - values[label];
    }
  }

  result(): Evaluation {
    const n = this.#rows;
    const correct = this.#counts.reduce((sum, counts) => sum + counts.correct, 0);
    const metrics: Record<string, number | null> = { accuracy: correct / n, loss: this.#loss / n };
    this.#counts.forEach((counts, label) => {
      metrics[`recall.${label}`] = counts.examples > 0 ? counts.correct / counts.examples : null;
      metrics[`f1.${label}`] = f1(counts);
    });
    return { n, metrics };
  }
}

const bins = 15;

/**
 * What a model is released for: not only how often its largest logit is right, but what its probabilities are worth, and how
 * far they are from the original's. The loss, the calibration error, KL and the logits are those of the examples with
 * finite logits, null where there are none; an example without them counts as wrong and as no agreement.
 *
 * The calibration error is that of the predicted class: the mean distance of confidence and accuracy over 15 bins of equal
 * width, weighted by their examples (Guo et al., ICML 2017).
 */
export class UtilityMeter implements Meter {
  readonly #score: ScoreMeter;
  readonly #calibration = Array.from({ length: bins }, () => ({ confidence: 0, correct: 0 }));
  readonly #sums = { loss: 0, kl: 0, agreed: 0 };
  #finite = 0;
  #least = Number.POSITIVE_INFINITY;
  #most = Number.NEGATIVE_INFINITY;

  /**
   * @param labels - Class of each example.
   * @param width - Number of logits of each.
   */
  constructor(
    readonly labels: Int32Array,
    readonly width: number,
  ) {
    this.#score = new ScoreMeter(labels, width);
  }

  add(outputs: Pick<Outputs, 'values' | 'positions' | 'original'>): void {
    const { values, positions, original } = outputs;
    if (!original) throw new WeightlockError('utility: expected the outputs of the original beside those of the model');
    this.#score.add(outputs);
    for (const [row, position] of positions.entries()) {
      const [own, other] = [values, original].map((all) => all.subarray(row * this.width, (row + 1) * this.width));
      if (own.every(Number.isFinite)) this.#judge(own, other, this.labels[position]);
    }
  }

  #judge(own: Float32Array, other: Float32Array, label: number): void {
    const [p, q] = [logProbabilities(own), logProbabilities(other)];
    const predicted = predictedClass(own);
    const confidence = Math.exp(p[predicted]);
    const bin = this.#calibration[Math.min(bins - 1, Math.max(0, Math.ceil(confidence * bins) - 1))];
    bin.confidence += confidence;
    bin.correct += Number(predicted === label);
    this.#finite++;
    this.#sums.loss -= p[label];
    this.#sums.agreed += Number(predicted === predictedClass(other));
    for (let c = 0; c < this.width; c++) this.#sums.kl += Math.exp(q[c]) * (q[c] - p[c]);
    for (const value of own) {
      this.#least = Math.min(this.#least, value);
      this.#most = Math.max(this.#most, value);
    }
  }

  result(): Evaluation {
    const { n, metrics } = this.#score.result();
    const finite = this.#finite;
    const mean = (sum: number) => (finite > 0 ? sum / finite : null);
    const distance = this.#calibration.reduce((sum, bin) => sum + Math.abs(bin.confidence - bin.correct), 0);
    return {
      n,
      metrics: {
        ...metrics,
        loss: mean(this.#sums.loss),
        ece: mean(distance),
        agreement: this.#sums.agreed / n,
        kl: mean(this.#sums.kl),
        leastLogit: finite > 0 ? this.#least : null,
        largestLogit: finite > 0 ? this.#most : null,
        notFinite: 1 - finite / n,
      },
    };
  }
}

function logProbabilities(logits: Float32Array): Float64Array {
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
  return values.map((value) => value - largest - Math.log(sum));
}
