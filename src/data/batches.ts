import { RandomStream } from '../linalg/index.js';
import { type Dataset, exampleLength } from './dataset.js';

/**
 * The order in which training sees a data set: one shuffle after another, cut into batches of one size. A batch may reach
 * into the next shuffle, so every batch is full and step s needs nothing but (seed, s).
 */
export class BatchOrder {
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  /**
   * @param size - Number of examples, at least 1.
   * @param batchSize - Examples a batch.
   * @param seed - Decides all shuffles.
   */
  constructor(
    readonly size: number,
    readonly batchSize: number,
    readonly seed: number,
  ) {}

  /** Steps after which every example was seen once, rounded up. */
  get stepsPerEpoch(): number {
    return Math.ceil(this.size / this.batchSize);
  }

  /** Writes the positions of the examples of a step. */
  positions(step: number, out: Uint32Array): void {
    for (let i = 0; i < this.batchSize; i++) {
      const at = step * this.batchSize + i;
      const epoch = Math.floor(at / this.size);
      if (epoch !== this.#epoch) {
        this.#order = new RandomStream(this.seed, 'batches', epoch).permutation(this.size);
        this.#epoch = epoch;
      }
      out[i] = this.#order[at % this.size];
    }
  }
}

/** Arrays that one batch is copied into, made once. */
export interface BatchBuffers {
  /** Positions in the data set. */
  readonly positions: Uint32Array;
  /** `[batch, ...inputShape]`. */
  readonly inputs: Float32Array;
  /** `[batch]`. */
  readonly labels: Int32Array;
}

/** Allocates the arrays of one batch. */
export function batchBuffers(dataset: Dataset, batchSize: number): BatchBuffers {
  return {
    positions: new Uint32Array(batchSize),
    inputs: new Float32Array(batchSize * exampleLength(dataset)),
    labels: new Int32Array(batchSize),
  };
}

/**
 * Writes the examples at `buffers.positions` into the batch's arrays.
 *
 * @param random - Draws their augmentation, row by row: a stream of its own for each step. Default none.
 */
export function gatherBatch(
  dataset: Dataset,
  { positions, inputs, labels }: BatchBuffers,
  random?: RandomStream,
): void {
  const stride = inputs.length / positions.length;
  positions.forEach((position, row) => {
    dataset.examples.read(dataset.indices[position], inputs, row * stride, random);
    labels[row] = dataset.labels[position];
  });
}
