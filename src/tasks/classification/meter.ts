import { logProbabilities, logSumExp, predictedClass, requireOriginal } from '../rows.js';
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

/**
 * Matthews correlation, −1 to 1, of any number of classes (Gorodkin, "Comparing two K-category assignments", 2004); 0 where
 * all examples are of one class, or taken for one. An example that is taken for no class counts as predicted of none.
 */
function matthews(counts: readonly ClassCounts[], n: number): number {
  const sum = (of: (each: ClassCounts) => number) => counts.reduce((total, each) => total + of(each), 0);
  const covariance = n * sum(({ correct }) => correct) - sum(({ predicted, examples }) => predicted * examples);
  const spread = (of: (each: ClassCounts) => number) => n ** 2 - sum((each) => of(each) ** 2);
  const scale = Math.sqrt(spread(({ predicted }) => predicted) * spread(({ examples }) => examples));
  return scale === 0 ? 0 : covariance / scale;
}

/**
 * Of two classes the area under the receiver operating characteristic: the share of pairs of an example of each class in which that of the
 * second class has the larger logit of it over the first; of equal ones half. Whatever threshold is taken, so that it varies less from
 * model to model than accuracy. An example without finite logits is on the wrong side of all others; null where a class has no example.
 *
 * @param margins - Second logit less the first, of each example.
 * @param isSecond - Whether it is of the second class.
 */
function areaUnderCurve(margins: readonly number[], isSecond: readonly boolean[]): number | null {
  const order = [...margins.keys()].toSorted((a, b) => margins[a] - margins[b]);
  let [firsts, seconds, won] = [0, 0, 0];
  for (let at = 0; at < order.length; ) {
    let [tiedFirsts, tiedSeconds] = [0, 0];
    const value = margins[order[at]];
    for (; at < order.length && margins[order[at]] === value; at++) {
      if (isSecond[order[at]]) tiedSeconds++;
      else tiedFirsts++;
    }
    won += tiedSeconds * (firsts + tiedFirsts / 2);
    firsts += tiedFirsts;
    seconds += tiedSeconds;
  }
  return firsts === 0 || seconds === 0 ? null : won / (firsts * seconds);
}

/**
 * Accuracy, mean cross entropy, Matthews correlation, mean F1 over the classes that occur or are predicted, and recall and F1 of each class, of
 * logits `[n, classes]`; of two classes the area under the ROC curve. A row with a logit that is not
 * finite counts as wrong. The first class is 0; the recall of a class without examples is null.
 */
export class ScoreMeter implements Meter {
  readonly #counts: ClassCounts[];
  readonly #margins: number[] = [];
  readonly #isSecond: boolean[] = [];
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
      this.#loss += logSumExp(values) - values[label];
      if (this.width !== 2) continue;
      const worst = label === 1 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
      this.#margins.push(values.every(Number.isFinite) ? values[1] - values[0] : worst);
      this.#isSecond.push(label === 1);
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
    const occurring = this.#counts.filter(({ examples, predicted }) => examples + predicted > 0);
    metrics.f1 = occurring.reduce((sum, counts) => sum + f1(counts), 0) / occurring.length;
    metrics.matthews = matthews(this.#counts, n);
    if (this.width === 2) metrics.auc = areaUnderCurve(this.#margins, this.#isSecond);
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
    const { values, positions } = outputs;
    const original = requireOriginal(outputs.original);
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
