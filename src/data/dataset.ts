import { RandomStream } from '../linalg/index.js';
import { InputError, quote } from '../registry/index.js';
import { type Examples, FloatExamples } from './examples.js';
import type { Preprocessing } from './preprocessing.js';

/** Examples, told by where they lie in a store. */
export interface Selection {
  /** What it is, for tables and messages. */
  readonly name: string;
  /** Index of each example in its store, `[size]`. */
  readonly indices: Uint32Array;
  /** Number of examples. */
  readonly size: number;
}

/** What is known of examples that belong to one class each. */
export interface Labelled {
  /** Class of each example, `[size]`. */
  readonly labels: Int32Array;
  /** Names of the classes. */
  readonly classes: readonly string[];
}

/** Examples and their store, which data sets cut from one another share. */
export interface Dataset extends Selection {
  /** Where the arrays lie. */
  readonly examples: Examples;
  /** What an example of the store is called in its source: its file, or its file and place there. */
  readonly nameOf?: (index: number) => string;
  /** The texts of an example of the store, one or two, as the source has them. */
  readonly textsOf?: (index: number) => readonly string[];
  /** What was done to the images, so that a model can say how it is to be fed; none where the inputs are plain numbers. */
  readonly preprocessing?: Preprocessing;
}

/** A data set whose examples belong to one class each. */
export interface LabelledDataset extends Dataset, Labelled {}

/** What {@link createDataset} and {@link floatDataset} are told beside the inputs. */
export interface DatasetFacts {
  /** What it is, for tables and messages. */
  name: string;
  /** Class of each example, `[size]`; kept, not copied. */
  labels: Int32Array;
  /** Names of the classes. */
  classes: readonly string[];
}

/** All examples of a store. */
export function selectAll({ name, labels, classes }: DatasetFacts): Selection & Labelled {
  return { name, indices: Uint32Array.from(labels.keys()), labels, classes, size: labels.length };
}

/** A data set of all examples of a store; `preprocessing`: what was done to its images. */
export function createDataset(examples: Examples, facts: DatasetFacts, preprocessing?: Preprocessing): LabelledDataset {
  return { ...selectAll(facts), examples, preprocessing };
}

/**
 * A data set of plain numbers.
 *
 * @param facts - `inputs`: `[size, ...shape]`, row-major, as the model is to see them; kept, not copied.
 * @throws InputError when inputs and labels do not have the same number of examples.
 */
export function floatDataset({
  inputs,
  shape,
  ...facts
}: DatasetFacts & { inputs: Float32Array; shape: readonly number[] }): LabelledDataset {
  const examples = new FloatExamples(inputs, shape);
  if (examples.size !== facts.labels.length) {
    throw new InputError(
      `${facts.name}: expected inputs of shape [${[facts.labels.length, ...shape]}], got ${inputs.length} numbers`,
    );
  }
  return createDataset(examples, facts);
}

/** The same examples with other inputs, `[size, ...shape]`, row-major; kept, not copied. */
export function withInputs<T extends Dataset>(dataset: T, inputs: Float32Array, shape: readonly number[]): T {
  const indices = Uint32Array.from(dataset.indices.keys());
  return {
    ...dataset,
    indices,
    examples: new FloatExamples(inputs, shape),
    preprocessing: undefined,
    nameOf: undefined,
    textsOf: undefined,
  };
}

/** Of pairs of texts the first ones and the second ones, each as a text of its own; undefined where examples are no pairs. */
export function textsApart<T extends Dataset>(dataset: T): readonly [T, T] | undefined {
  const apart = dataset.examples.apart?.();
  if (!apart) return;
  const side = (examples: Examples): T => ({ ...dataset, examples, textsOf: undefined });
  return [side(apart[0]), side(apart[1])];
}

/** The examples at some positions; their arrays are shared, their labels copied. */
export function subset<T extends Selection & Partial<Labelled>>(
  dataset: T,
  positions: ArrayLike<number>,
  name = dataset.name,
): T {
  const indices = Uint32Array.from(positions, (position) => dataset.indices[position]);
  const { labels: all } = dataset;
  const labels = all && { labels: Int32Array.from(positions, (position) => all[position]) };
  return { ...dataset, name, indices, size: positions.length, ...labels };
}

/**
 * Only the examples of some classes, which are renumbered from 0 in the given order.
 *
 * @throws InputError when a class does not exist, or is given twice.
 */
export function selectClasses<T extends Selection & Labelled>(
  dataset: T,
  classes: readonly number[],
  name = dataset.name,
): T {
  for (const [position, label] of classes.entries()) {
    if (classes.indexOf(label) !== position) {
      throw new InputError(`${dataset.name}: expected each class once, got ${label} twice`);
    }
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

/**
 * The same examples, labelled by the place that the names of their classes have among those of another data set. Examples without classes stay.
 *
 * @throws InputError for a class that is not among them.
 */
export function labelledAs<T extends Selection & Labelled>(dataset: T, { classes }: Pick<Labelled, 'classes'>): T {
  if (dataset.classes.length === 0) return dataset;
  const places = dataset.classes.map((name) => classes.indexOf(name));
  const missing = places.indexOf(-1);
  if (missing >= 0) {
    const known = classes.slice(0, 10).map(quote).join(', ');
    throw new InputError(
      `${dataset.name}: expected examples of the classes ${known}${classes.length > 10 ? ', ...' : ''}, found ${quote(dataset.classes[missing])}`,
    );
  }
  return { ...dataset, labels: dataset.labels.map((label) => places[label]), classes };
}

/** Draws the same number of examples of each class (all where a class has fewer). */
export function fewShot<T extends Selection & Labelled>(dataset: T, perClass: number, seed: number): T {
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

/** Draws so many examples by a seed, all where there are fewer; a smaller number draws a part of a larger one's. */
export function drawSome<T extends Selection>(dataset: T, count: number, seed: number): T {
  if (count >= dataset.size) return dataset;
  const order = new RandomStream(seed, `limit ${dataset.name}`).permutation(dataset.size);
  return subset(dataset, order.subarray(0, count), `${dataset.name}, ${count} examples`);
}

/** Splits by a seed into two parts that share no example; the second holds `testShare` of all. */
export function splitTrainTest<T extends Selection>(
  dataset: T,
  testShare: number,
  seed: number,
): { train: T; test: T } {
  const order = new RandomStream(seed, `split ${dataset.name}`).permutation(dataset.size);
  const testSize = Math.round(dataset.size * testShare);
  return {
    train: subset(dataset, order.subarray(testSize), `${dataset.name} train`),
    test: subset(dataset, order.subarray(0, testSize), `${dataset.name} test`),
  };
}

/** The examples as if there were one answer to all: outputs need none, and the model may have fewer than the examples, or these none. */
export function withoutAnswers(examples: Dataset & { readonly classes?: readonly string[] }): Dataset {
  const [answer = 'any'] = examples.classes ?? [];
  const alike = { labels: new Int32Array(examples.size), classes: [answer] };
  return { ...examples, ...alike };
}
