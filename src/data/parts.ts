import type { LabelledPart } from './collection.js';
import type { Labelled, LabelledDataset, Selection } from './dataset.js';

/** Three parts of a data set that share no example, but for `validationShare` 0. */
export interface DataParts {
  /** To train on. */
  readonly train: LabelledDataset;
  /** To choose by: early stop, and the utility floor of a lock. A model trained on it would flatter itself there. */
  readonly validation: LabelledDataset;
  /** To report on. */
  readonly test: LabelledDataset;
  /** Sentences for people: which files were left out or used otherwise, and why. */
  readonly notes?: readonly string[];
}

/** Some examples of a part of an opened data set. */
export interface Chosen<P extends LabelledPart = LabelledPart> {
  /** Which, and what is known of them. */
  readonly selection: Selection & Labelled;
  /** Where they lie. */
  readonly part: P;
}

/** What is loaded: which examples of which part. */
export type ChosenParts<P extends LabelledPart = LabelledPart> = Readonly<
  Record<'train' | 'validation' | 'test', Chosen<P>>
>;
