import type { Dataset } from '../data/index.js';
import type { Shape, Tensor } from '../graph/index.js';
import type { RandomStream } from '../linalg/index.js';
import type { HeadNeed, ModelCard, ModelSpec } from '../models/index.js';
import type { ArraySpecs, Batch, BatchRow } from '../nn/index.js';

/** What is known of a model from some examples: numbers by the names of their metrics. */
export interface Evaluation {
  /** Number of examples. */
  readonly n: number;
  /** Values by name; null where there was nothing to measure. */
  readonly metrics: Readonly<Record<string, number | null>>;
}

/** A number that a task measures. */
export interface Metric {
  /** Its key in an {@link Evaluation}. */
  readonly name: string;
  /** What it is, for tables. */
  readonly title: string;
  /** How it is written: a `share`, 0 to 1, as percent. */
  readonly unit: 'share' | 'nats' | 'number';
  /** Whether more of it is better. */
  readonly better: 'more' | 'less' | 'neither';
  /** Whether it compares outputs with those of the original; default false. */
  readonly compares?: boolean;
}

/** What each token of the examples at some positions is to be, `[positions, tokens]`; `NO_CLASS` counts for nothing. */
export type LabelsAt = (positions: Uint32Array) => BigInt64Array;

/** Parts of a data set. */
export interface Parts {
  /** What they are, in the singular: `class`. */
  readonly kind: string;
  /** Name, number of examples and name of the metric of each. */
  readonly entries: readonly { readonly name: string; readonly n: number; readonly metric: string }[];
}

/** Writes what the model is trained towards, of the example at a position, to its place in a batch. */
export type TargetReader = (position: number, to: BatchRow) => void;

/** What a model gave for some examples of a data set. */
export interface Outputs {
  /** Which examples, by their position in the data set. */
  readonly positions: Uint32Array;
  /** `[positions, ...]`, row-major. */
  readonly values: Float32Array;
  /** Their shape: the model's head gives the last axis. */
  readonly shape: Shape;
  /** What the original gave for the same examples, of the same shape; none where nothing is compared. */
  readonly original?: Float32Array;
}

/** The largest probabilities that an original gives each token, in a graph. */
export interface TopOutputs {
  /** Which answers, int32 `[batch, tokens, k]`. */
  readonly answers: Tensor;
  /** The logarithms of their probabilities, `[batch, tokens, k]`. */
  readonly logProbabilities: Tensor;
  /** The logarithm of the probability of all others together, `[batch, tokens, 1]`. */
  readonly rest: Tensor;
}

/** Takes the outputs of a data set piece by piece and says what they are worth. */
export interface Meter {
  /** Outputs of further examples. */
  add(outputs: Outputs): void;
  /** Of all that were added. */
  result(): Evaluation;
}

/**
 * What models are trained and judged on: an entry of the registry. It is given data sets whose examples it can read, and
 * outputs of models that have its head.
 */
export interface Task {
  /** Name on the command line and in files. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Kind of head that a model needs. */
  readonly head: string;
  /** Name of the model's output that the loss is computed from, and that a retain loss compares. */
  readonly output: string;
  /** What it measures of a whole data set, in the order of tables. */
  readonly metrics: readonly Metric[];
  /** How that is measured, for people. */
  readonly explanation: string;
  /** Names of the metrics with a part to play. */
  readonly roles: {
    /** What a model is judged by, a share where more is better. */
    readonly score: string;
    /** How far outputs are from the original's, 0: not at all. */
    readonly divergence: string;
    /** Share of the examples whose outputs are no numbers. */
    readonly notFinite: string;
    /** The loss. */
    readonly loss: string;
  };
  /**
   * A metric by its name; some have one for each part, such as `f1.3` of a class.
   *
   * @throws InputError when the task does not measure it on such a data set.
   */
  metric(name: string, dataset: Dataset): Metric;
  /** The parts of a data set of which the score can be told apart: classes. */
  parts(dataset: Dataset): Parts;
  /** The head that a new model needs for these examples. */
  headFor(dataset: Dataset): HeadNeed;
  /**
   * Checks that a model can be trained and judged on a data set.
   *
   * @throws InputError saying what does not fit.
   */
  requireFit(model: ModelSpec, dataset: Dataset): void;
  /**
   * The examples as the model is given them, where that is not as they are: texts with hidden tokens. Those that are already so
   * stay so.
   */
  view?(dataset: Dataset): Dataset;
  /** Arrays that a batch holds beside its examples, for one example of such arrays: what the model is trained towards. */
  targets(example: ArraySpecs): ArraySpecs;
  /** How many targets the mean loss of a batch is over; default its examples. */
  count?(batch: Batch): number;
  /** Reads them. */
  targetReader(dataset: Dataset): TargetReader;
  /**
   * Mean loss of a batch; none where there is nothing to train towards.
   *
   * @param output - The model's output, with the batch axis in front.
   * @param target - Graph inputs of the targets' arrays.
   */
  loss?(output: Tensor, target: (name: string) => Tensor): Tensor;
  /** Losses of the examples, `[batch]`, whose mean the loss is; none where it is a mean over something else. */
  losses?(output: Tensor, target: (name: string) => Tensor): Tensor;
  /**
   * Mean divergence of a batch's outputs from those of the original.
   *
   * @param target - Graph inputs of the targets' arrays, such as which tokens are none.
   */
  divergence(output: Tensor, original: Tensor, target: (name: string) => Tensor): Tensor;
  /**
   * The same, where of the original only the most likely answers of each token are known; none where all are few, or other ones
   * each time.
   */
  topDivergence?(output: Tensor, top: TopOutputs, target: (name: string) => Tensor): Tensor;
  /**
   * `H u`, H the second derivatives of the mean loss by the output, the same for the divergence; for Gauss-Newton products.
   *
   * @param target - As for the divergence.
   */
  curvature(output: Tensor, u: Tensor, target: (name: string) => Tensor): Tensor;
  /**
   * Targets drawn from what a model predicts, in the place of those of a batch; none where it predicts no distribution.
   *
   * @param values - The model's output for the batch, `[batch, ...]`.
   * @param streams - One for each example of the batch.
   * @returns Arrays of its own, by name; those of other targets are the batch's.
   */
  drawTargets?(values: Float32Array, batch: Batch, streams: readonly RandomStream[]): Batch;
  /**
   * Measures outputs on a data set.
   *
   * @param width - Length of the output's last axis.
   * @param options - `compares`: whether each piece has the outputs of the original beside it: then it measures what the
   *   model is still worth as well; default false.
   */
  meter(dataset: Dataset, width: number, options?: { compares?: boolean }): Meter;
  /** The right answer of each example, out of so many, where each has one: what can be fitted to outputs without training. */
  answers?(dataset: Dataset): { readonly of: Int32Array; readonly count: number } | undefined;
  /** Of a task whose answers are tokens of the model's vocabulary, which each token's is: what outputs can be judged by as they are. */
  tokens?(dataset: Dataset): LabelsAt;
  /** Score of a model that knows nothing but how often each answer is right, in the metric with this role. */
  guessing(dataset: Dataset): number;
  /** As many examples of each kind, drawn by a seed (all where there are fewer). */
  fewShot(dataset: Dataset, perKind: number, seed: number): Dataset;
  /** What {@link Task.fewShot} draws so many of, in words behind a number. */
  readonly drawnBy: string;
  /**
   * Where a data set is not what a model's card says it was made for, one sentence each.
   *
   * @param options - `authorized`: whether the examples are of the task that the model is released for; default true.
   */
  disagreements(card: ModelCard, model: ModelSpec, dataset: Dataset, options?: { authorized?: boolean }): string[];
  /** Why training on a data set would be no attack on a model, one sentence each: it is released for that. */
  doubts(card: ModelCard, dataset: Dataset): string[];
}
