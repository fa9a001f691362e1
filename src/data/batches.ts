import { allocate, sizeOf } from '../graph/index.js';
import { RandomStream } from '../linalg/index.js';
import { type ArraySpecs, type Batch, type BatchRow, batchSpecs } from '../nn/index.js';
import type { Dataset } from './dataset.js';

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

/** Batches that are sorted by length together at most: as many as can be shuffled and still be of like lengths. */
const sortedBatches = 32;

/**
 * As {@link BatchOrder}, for examples of different lengths: the order of some batches at a time is sorted by length, so that
 * little of a batch is padding, and then these batches are shuffled.
 */
class LengthOrder extends BatchOrder {
  readonly #window: number;
  #known = -1;
  #sorted: Uint32Array = new Uint32Array();

  /** @param lengths - Length of the example at each position. */
  constructor(
    size: number,
    batchSize: number,
    seed: number,
    readonly lengths: Uint32Array,
  ) {
    super(size, batchSize, seed);
    this.#window = Math.min(sortedBatches, Math.max(1, Math.floor(size / batchSize)));
  }

  override positions(step: number, out: Uint32Array): void {
    const window = Math.floor(step / this.#window);
    if (window !== this.#known) {
      this.#sorted = this.#sort(window);
      this.#known = window;
    }
    const start = (step - window * this.#window) * this.batchSize;
    out.set(this.#sorted.subarray(start, start + this.batchSize));
  }

  #sort(window: number): Uint32Array {
    const { batchSize, lengths } = this;
    const all = new Uint32Array(this.#window * batchSize);
    for (let batch = 0; batch < this.#window; batch++) {
      super.positions(window * this.#window + batch, all.subarray(batch * batchSize, (batch + 1) * batchSize));
    }
    all.sort((a, b) => lengths[a] - lengths[b]);
    const order = new RandomStream(this.seed, 'batches of like lengths', window).permutation(this.#window);
    const shuffled = new Uint32Array(all.length);
    for (const [to, from] of order.entries()) {
      shuffled.set(all.subarray(from * batchSize, (from + 1) * batchSize), to * batchSize);
    }
    return shuffled;
  }
}

/** The order in which training sees a data set: where its examples differ in length, batches are of like lengths. */
export function batchOrder({ size, indices, examples }: Dataset, batchSize: number, seed: number): BatchOrder {
  const { lengths } = examples;
  if (lengths === undefined) return new BatchOrder(size, batchSize, seed);
  return new LengthOrder(
    size,
    batchSize,
    seed,
    indices.map((index) => lengths[index]),
  );
}

/** The arrays of one example of a batch that holds the examples at these positions. */
export function layoutAt({ examples, indices }: Dataset, positions: Uint32Array): ArraySpecs {
  return examples.layout(positions.map((position) => indices[position]));
}

/** Allocates the arrays of a batch. */
export function allocateBatch(specs: ArraySpecs): Batch {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape, dtype }]) => [name, allocate(dtype, sizeOf(shape))]),
  );
}

/** `count` examples from position `start` on, as a batch of its own; default all. */
export function readBatch(dataset: Dataset, start = 0, count = dataset.size - start): Batch {
  return batchAt(
    dataset,
    Uint32Array.from({ length: count }, (_, row) => start + row),
  );
}

/** The examples at some positions, as a batch of their own. */
export function batchAt(dataset: Dataset, positions: Uint32Array): Batch {
  const layout = layoutAt(dataset, positions);
  const batch = allocateBatch(batchSpecs(layout, positions.length));
  gatherBatch(dataset, positions, { batch, layout });
  return batch;
}

/**
 * Writes the examples at some positions into the arrays of a batch.
 *
 * @param to - The batch, and how its examples are laid out.
 * @param random - Draws their augmentation, row by row: a stream of its own for each step. Default none.
 */
export function gatherBatch(
  { examples, indices }: Dataset,
  positions: Uint32Array,
  to: Omit<BatchRow, 'row'>,
  random?: RandomStream,
): void {
  positions.forEach((position, row) => {
    examples.read(indices[position], { ...to, row }, random);
  });
}
