import { InputError } from '../formats/index.js';
import { RandomStream } from '../linalg/index.js';

/** Labelled examples in memory. */
export interface Dataset {
  /** What it is, for tables and messages. */
  readonly name: string;
  /** Shape of one example. */
  readonly inputShape: readonly number[];
  /** `[size, ...inputShape]`, row-major, already normalized. */
  readonly inputs: Float32Array;
  /** Class of each example, `[size]`. */
  readonly labels: Int32Array;
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** Number of examples. */
  readonly size: number;
}

/** The examples at some positions, copied. */
export function subset(dataset: Dataset, positions: ArrayLike<number>, name = dataset.name): Dataset {
  const stride = dataset.inputs.length / Math.max(dataset.size, 1);
  const inputs = new Float32Array(positions.length * stride);
  const labels = new Int32Array(positions.length);
  for (let i = 0; i < positions.length; i++) {
    inputs.set(dataset.inputs.subarray(positions[i] * stride, (positions[i] + 1) * stride), i * stride);
    labels[i] = dataset.labels[positions[i]];
  }
  return { ...dataset, name, inputs, labels, size: positions.length };
}

/**
 * Only the examples of some classes, which are renumbered from 0 in the given order.
 *
 * @throws InputError when a class does not exist.
 */
export function selectClasses(dataset: Dataset, classes: readonly number[], name = dataset.name): Dataset {
  for (const label of classes) {
    if (dataset.classes[label] === undefined) {
      throw new InputError(`${dataset.name}: expected classes from 0 to ${dataset.classes.length - 1}, got ${label}`);
    }
  }
  const positions = [...dataset.labels.keys()].filter((index) => classes.includes(dataset.labels[index]));
  const selected = subset(dataset, positions, name);
  return {
    ...selected,
    labels: selected.labels.map((label) => classes.indexOf(label)),
    classes: classes.map((label) => dataset.classes[label]),
  };
}

/** Draws the same number of examples of each class (all where a class has fewer). */
export function fewShot(dataset: Dataset, perClass: number, seed: number): Dataset {
  const order = new RandomStream(seed, `few-shot ${dataset.name}`).permutation(dataset.size);
  const taken = new Map<number, number>();
  const positions = order.filter((position) => {
    const label = dataset.labels[position];
    const count = taken.get(label) ?? 0;
    taken.set(label, count + 1);
    return count < perClass;
  });
  return subset(dataset, positions, `${dataset.name}, ${perClass} of each class`);
}

/** Splits by a seed into two parts that share no example; the second holds `testShare` of all. */
export function splitTrainTest(dataset: Dataset, testShare: number, seed: number): { train: Dataset; test: Dataset } {
  const order = new RandomStream(seed, `split ${dataset.name}`).permutation(dataset.size);
  const testSize = Math.round(dataset.size * testShare);
  return {
    train: subset(dataset, order.subarray(testSize), `${dataset.name} train`),
    test: subset(dataset, order.subarray(0, testSize), `${dataset.name} test`),
  };
}
