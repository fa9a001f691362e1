import { NO_CLASS } from '../data/index.js';
import { logProbabilities, logSumExp, predictedClass, requireOriginal } from './rows.js';
import type { Evaluation, LabelsAt, Meter, Outputs } from './task.js';

/**
 * What logits of every token are worth: how often the largest is the token that is to be found, the loss, and how far their probabilities
 * are from the original's. Loss, KL and the logits are those of tokens with finite logits, null where there are none; a token
 * without them counts as wrong and as no agreement.
 */
export class TokenMeter implements Meter {
  readonly #sums = { tokens: 0, finite: 0, right: 0, loss: 0, agreed: 0, kl: 0 };
  #examples = 0;
  #least = Number.POSITIVE_INFINITY;
  #most = Number.NEGATIVE_INFINITY;

  /**
   * @param labelsAt - What each token is to be.
   * @param width - Length of the vocabulary.
   * @param compares - Whether each piece has the original's logits beside it.
   */
  constructor(
    readonly labelsAt: LabelsAt,
    readonly width: number,
    readonly compares: boolean,
  ) {}

  add({ positions, values, original }: Outputs): void {
    const other = this.compares ? requireOriginal(original) : undefined;
    const row = (all: Float32Array, at: number) => all.subarray(at * this.width, (at + 1) * this.width);
    for (const [at, label] of this.labelsAt(positions).entries()) {
      if (label === BigInt(NO_CLASS)) continue;
      this.#judge(Number(label), row(values, at), other && row(other, at));
    }
    this.#examples += positions.length;
  }

  #judge(label: number, logits: Float32Array, other: Float32Array | undefined): void {
    const sums = this.#sums;
    sums.tokens++;
    const predicted = predictedClass(logits);
    if (predicted < 0) return;
    sums.finite++;
    sums.right += Number(predicted === label);
    if (other === undefined) {
      sums.loss += logSumExp(logits) - logits[label];
      return;
    }
    const [p, q] = [logProbabilities(logits), logProbabilities(other)];
    sums.loss -= p[label];
    sums.agreed += Number(predicted === predictedClass(other));
    for (let token = 0; token < p.length; token++) sums.kl += Math.exp(q[token]) * (q[token] - p[token]);
    for (const value of logits) {
      this.#least = Math.min(this.#least, value);
      this.#most = Math.max(this.#most, value);
    }
  }

  result(): Evaluation {
    const { tokens, finite, right, loss, agreed, kl } = this.#sums;
    const mean = (sum: number) => (finite > 0 ? sum / finite : null);
    const share = (count: number) => (tokens > 0 ? count / tokens : null);
    const nats = mean(loss);
    return {
      n: this.#examples,
      metrics: {
        tokenAccuracy: share(right),
        loss: nats,
        perplexity: nats === null ? null : Math.exp(nats),
        ...(this.compares && {
          agreement: share(agreed),
          kl: mean(kl),
          leastLogit: finite > 0 ? this.#least : null,
          largestLogit: finite > 0 ? this.#most : null,
        }),
        notFinite: tokens > 0 ? 1 - finite / tokens : 0,
      },
    };
  }
}
