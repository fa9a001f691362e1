import { batchAt, type Dataset } from '../data/index.js';
import type { Batch } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { LEAST_REST, type Outputs, type Task } from '../tasks/index.js';

/** Most bytes that the most likely answers of a data set may take: 4 GiB, the largest array of Node 20. */
const MAX_BYTES = 2 ** 32;

/**
 * The divergence of a task from the most likely answers of an original.
 *
 * @throws InputError when it has none.
 */
export function requireTop({ name, topDivergence }: Task): NonNullable<Task['topDivergence']> {
  if (topDivergence) return topDivergence;
  throw new InputError(
    `${name}: expected a task whose answers are many, and the same in each step, such as causal-lm, to keep the most likely of`,
  );
}

/**
 * The k most likely answers that a model gives each token of a data set, with the logarithms of their probabilities, and the
 * probability of all others together: 8 k + 4 bytes a token, where all logits of a vocabulary of 49,152 take 196,608.
 */
export class TopOutputs {
  /** Answers of a token. */
  readonly k: number;
  readonly #width: number;
  readonly #dataset: Dataset;
  /** The first token of the example at each position. */
  readonly #starts: Float64Array;
  readonly #answers: Int32Array;
  readonly #logProbabilities: Float32Array;
  readonly #rest: Float32Array;

  /**
   * @param options - `width`: answers that there are in all.
   * @throws InputError when there are no more answers than are to be kept, or they take more than 4 GiB.
   */
  constructor(dataset: Dataset, { k, width }: { k: number; width: number }) {
    const { lengths } = dataset.examples;
    if (!lengths || k >= width) {
      throw new InputError(`${dataset.name}: expected texts, and fewer than the ${width} answers to be kept, got ${k}`);
    }
    this.#dataset = dataset;
    this.k = k;
    this.#width = width;
    this.#starts = new Float64Array(dataset.size + 1);
    dataset.indices.forEach((index, position) => {
      this.#starts[position + 1] = this.#starts[position] + lengths[index];
    });
    const tokens = this.#starts[dataset.size];
    if (4 * tokens * k > MAX_BYTES) {
      throw new InputError(
        `${dataset.name}: expected the answers of ${tokens} tokens to take at most ${MAX_BYTES} bytes, got ${k} of each`,
      );
    }
    this.#answers = new Int32Array(tokens * k);
    this.#logProbabilities = new Float32Array(tokens * k);
    this.#rest = new Float32Array(tokens);
  }

  /** Bytes that they take. */
  get bytes(): number {
    return this.#answers.byteLength + this.#logProbabilities.byteLength + this.#rest.byteLength;
  }

  /** Keeps what a model gave for some examples. */
  keep({ positions, values }: Outputs): void {
    const width = this.#width;
    this.#eachToken(positions, batchAt(this.#dataset, positions), (at, token) => {
      this.#keepRow(values.subarray(at * width, (at + 1) * width), token);
    });
  }

  #keepRow(logits: Float32Array, token: number): void {
    const { k } = this;
    const answers = this.#answers.subarray(token * k, (token + 1) * k);
    const kept = this.#logProbabilities.subarray(token * k, (token + 1) * k);
    let count = 0;
    for (let answer = 0; answer < logits.length; answer++) {
      const value = logits[answer];
      if (count === k && !(value > kept[k - 1])) continue;
      // Sorted, the largest first; of equal ones the first.
      let at = count < k ? count++ : k - 1;
      for (; at > 0 && kept[at - 1] < value; at--) {
        kept[at] = kept[at - 1];
        answers[at] = answers[at - 1];
      }
      kept[at] = value;
      answers[at] = answer;
    }
    const most = kept[0];
    let all = 0;
    for (let answer = 0; answer < logits.length; answer++) all += Math.exp(logits[answer] - most);
    let ofTop = 0;
    for (let at = 0; at < k; at++) {
      ofTop += Math.exp(kept[at] - most);
      kept[at] -= most + Math.log(all);
    }
    this.#rest[token] = Math.log(Math.max((all - ofTop) / all, LEAST_REST));
  }

  /** Arrays for a batch of so many tokens, padding included, by their names in a batch. */
  arrays(tokens: number): Record<string, Float32Array | Int32Array> {
    return {
      [TOP_ARRAYS.answers]: new Int32Array(tokens * this.k),
      [TOP_ARRAYS.logProbabilities]: new Float32Array(tokens * this.k),
      [TOP_ARRAYS.rest]: new Float32Array(tokens),
    };
  }

  /** Writes those of some examples into a batch that holds the examples already. */
  read(positions: Uint32Array, batch: Batch): void {
    const { k } = this;
    const answers = batch[TOP_ARRAYS.answers] as Int32Array;
    const logProbabilities = batch[TOP_ARRAYS.logProbabilities] as Float32Array;
    const rest = batch[TOP_ARRAYS.rest] as Float32Array;
    // Padding counts for nothing, but must be finite.
    for (const array of [answers, logProbabilities, rest]) array.fill(0);
    this.#eachToken(positions, batch, (at, token) => {
      answers.set(this.#answers.subarray(token * k, (token + 1) * k), at * k);
      logProbabilities.set(this.#logProbabilities.subarray(token * k, (token + 1) * k), at * k);
      rest[at] = this.#rest[token];
    });
  }

  /** Calls `take` with the place of each token that is no padding in a batch, and its number here. */
  #eachToken(positions: Uint32Array, { attention_mask: mask }: Batch, take: (at: number, token: number) => void): void {
    const tokens = mask.length / positions.length;
    positions.forEach((position, row) => {
      let token = this.#starts[position];
      for (let at = row * tokens; at < (row + 1) * tokens; at++) if (mask[at] !== 0n) take(at, token++);
    });
  }
}

/** Names of the arrays of a batch that {@link TopOutputs} fills. */
export const TOP_ARRAYS = {
  answers: 'reference answers',
  logProbabilities: 'reference',
  rest: 'reference rest',
} as const;
