import { type Dataset, NO_CLASS } from '../../data/index.js';
import { ScoreMeter, UtilityMeter } from '../classification/meter.js';
import type { Evaluation, Meter, Outputs } from '../task.js';
import { labelsBy } from '../token-labels.js';
import { classesAt, tokenClassReader } from './token-classes.js';

/** What is known of tokens as of examples of a classifier, over the tokens that have a class; counted in texts. */
export class TokenClassMeter implements Meter {
  readonly #meter: ScoreMeter | UtilityMeter;
  readonly #labelsAt: ReturnType<typeof labelsBy>;
  /** Number of the first labelled token of each text among all of them. */
  readonly #starts: Float64Array;
  #texts = 0;

  /**
   * @param dataset - The texts.
   * @param width - Number of classes that there are logits of.
   * @param compares - Whether each piece has the original's logits beside it.
   */
  constructor(
    dataset: Dataset,
    readonly width: number,
    compares: boolean,
  ) {
    const at = classesAt(dataset);
    const all = Array.from({ length: dataset.size }, (_, position) => at(position));
    this.#starts = new Float64Array(dataset.size + 1);
    all.forEach(({ length }, position) => {
      this.#starts[position + 1] = this.#starts[position] + length;
    });
    const labels = new Int32Array(this.#starts[dataset.size]);
    all.forEach((own, position) => {
      labels.set(own, this.#starts[position]);
    });
    this.#labelsAt = labelsBy(dataset, tokenClassReader(dataset));
    this.#meter = new (compares ? UtilityMeter : ScoreMeter)(labels, width);
  }

  add({ positions, values, original }: Outputs): void {
    const { width } = this;
    const labels = this.#labelsAt(positions);
    const tokens = labels.length / positions.length;
    const places = [...labels.keys()].filter((at) => labels[at] !== BigInt(NO_CLASS));
    const rows = (all: Float32Array) => {
      const chosen = new Float32Array(places.length * width);
      for (const [row, at] of places.entries()) chosen.set(all.subarray(at * width, (at + 1) * width), row * width);
      return chosen;
    };
    const seen = new Map<number, number>();
    const numbers = places.map((at) => {
      const position = positions[Math.floor(at / tokens)];
      const count = seen.get(position) ?? 0;
      seen.set(position, count + 1);
      return this.#starts[position] + count;
    });
    this.#meter.add({
      positions: Uint32Array.from(numbers),
      values: rows(values),
      original: original && rows(original),
    });
    this.#texts += positions.length;
  }

  result(): Evaluation {
    return { n: this.#texts, metrics: this.#meter.result().metrics };
  }
}
