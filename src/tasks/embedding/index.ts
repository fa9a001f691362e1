import { drawSome } from '../../data/index.js';
import { mul, reduceSum, sub } from '../../graph/index.js';
import { Registry } from '../../registry/index.js';
import { requireExamples, requireHead } from '../fit.js';
import { requireOriginal } from '../rows.js';
import type { Meter, Metric, Task } from '../task.js';

const metrics: readonly Metric[] = [
  { name: 'cosine', title: 'cosine to the original', unit: 'number', better: 'more', compares: true },
  { name: 'leastCosine', title: 'least cosine', unit: 'number', better: 'more', compares: true },
  { name: 'distance', title: 'distance to the original', unit: 'number', better: 'less', compares: true },
  { name: 'notFinite', title: 'outputs not finite', unit: 'share', better: 'less' },
];

/** Mean over a batch `[batch, width]` of half the squared distance: 1 − cosine of vectors of length 1. */
const halfDistance: Task['divergence'] = (output, original) => {
  const difference = sub(output, original);
  return mul(reduceSum(mul(difference, difference)), 0.5 / output.shape[0]);
};

/**
 * A vector of length 1 for each example, of which nothing is known but the original's: what an encoder of sentences is
 * released for. There is nothing to train towards; a lock keeps the vectors where they are.
 */
export const embedding: Task = {
  name: 'embedding',
  description: "a vector for each example, compared with the original's",
  head: 'embedding',
  output: 'embedding',
  metrics,
  explanation: "Cosine: of each example's vector and the original's; distance: 1 − cosine, mean.",
  roles: { score: 'cosine', divergence: 'distance', notFinite: 'notFinite', loss: 'distance' },
  metric: (name) => new Registry('metric', metrics).get(name),
  parts: () => ({ kind: 'example', entries: [] }),
  headFor: () => ({ kind: 'embedding', labels: [] }),
  requireFit(model, dataset) {
    requireHead(model, 'embedding');
    requireExamples(model, dataset);
  },
  targets: () => ({}),
  targetReader: () => () => undefined,
  divergence: halfDistance,
  curvature: (output, u) => mul(u, 1 / output.shape[0]),
  meter: (_, width, { compares = false } = {}) => new CosineMeter(width, compares),
  guessing: () => 0,
  fewShot: (dataset, perKind, seed) => drawSome(dataset, perKind, seed),
  drawnBy: 'examples',
  disagreements: () => [],
  doubts: () => [],
};

/** Cosines of vectors and the original's. */
class CosineMeter implements Meter {
  readonly #sums = { n: 0, finite: 0, cosine: 0 };
  #least = Number.POSITIVE_INFINITY;

  constructor(
    readonly width: number,
    readonly compares: boolean,
  ) {}

  add({ positions, values, original }: Parameters<Meter['add']>[0]): void {
    const other = this.compares ? requireOriginal(original) : undefined;
    for (let row = 0; row < positions.length; row++) {
      const of = (all: Float32Array) => all.subarray(row * this.width, (row + 1) * this.width);
      const own = of(values);
      this.#sums.n++;
      if (!own.every(Number.isFinite)) continue;
      this.#sums.finite++;
      if (!other) continue;
      const found = cosine(own, of(other));
      this.#sums.cosine += found;
      this.#least = Math.min(this.#least, found);
    }
  }

  result() {
    const { n, finite, cosine: sum } = this.#sums;
    const mean = finite > 0 ? sum / finite : null;
    const compared = {
      cosine: mean,
      leastCosine: finite > 0 ? this.#least : null,
      distance: mean === null ? null : 1 - mean,
    };
    return { n, metrics: { ...(this.compares && compared), notFinite: n > 0 ? 1 - finite / n : 0 } };
  }
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [product, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i];
    ofA += a[i] * a[i];
    ofB += b[i] * b[i];
  }
  return product / Math.sqrt(ofA * ofB || 1);
}
