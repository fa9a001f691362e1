import type { CardPreprocessing } from './card-preprocessing.js';

/** What a model directory says of its model beside the weights: plain data. */
export interface ModelCard {
  /** Names of the classes in the order of the logits. */
  readonly classes?: readonly string[];
  /** How its images are prepared. */
  readonly preprocessing?: CardPreprocessing;
  /** What it was trained or locked on. */
  readonly data?: CardData;
  /** How good it is. */
  readonly metrics?: readonly CardMetric[];
  /** How it was locked. */
  readonly lock?: CardLock;
  /** Version of weightlock that wrote it. */
  readonly version?: string;
}

/** The data of a {@link ModelCard}. */
export interface CardData {
  /** What they are, for people. */
  readonly title: string;
  /** Options that load them again, such as name, classes and seed of the split; never a path of the machine. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Number of training examples. */
  readonly trainExamples: number;
}

/** A number that was measured. */
export interface CardMetric {
  /** What: `accuracy`, `loss`. */
  readonly name: string;
  /** Its value. */
  readonly value: number;
  /** Its value before the lock. */
  readonly before?: number;
  /** What it was measured on: `digits test`. */
  readonly of: string;
  /** Number of examples. */
  readonly n: number;
}

/** The lock of a {@link ModelCard}. */
export interface CardLock {
  /** Name of the lock method. */
  readonly method: string;
  /** Its options. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Steps kept. */
  readonly steps: number;
  /** Floating-point operations that it took; not in cards of versions before 0.3. */
  readonly flops?: number;
  /** Largest singular value of each weight matrix. */
  readonly sigma: readonly { readonly name: string; readonly before: number; readonly after: number }[];
}

/** A card that was read, and what of it could not be used. */
export interface ReadCard {
  /** The card; empty where the directory says nothing. */
  readonly card: ModelCard;
  /** One line for each thing that is not used or not as it says. */
  readonly problems: readonly string[];
}
