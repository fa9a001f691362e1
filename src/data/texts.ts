import type { ChatMessage } from '../text/index.js';
import type { LabelledPart } from './collection.js';

/** A text as a source has it. */
export interface TextRecord {
  /** The text, or the first of two; of a conversation, all that is said. */
  readonly text: string;
  /** The second of two texts. */
  readonly pair?: string;
  /** The turns of a conversation. */
  readonly messages?: readonly ChatMessage[];
}

/** Texts of one part of a data set. */
export interface LabelledTexts extends LabelledPart {
  /** A text. */
  record(index: number): TextRecord;
}

/** An opened data set of texts. */
export interface TextCollection {
  /** What its examples are. */
  readonly kind: 'texts';
  /** Names of the classes; none where the texts have none. */
  readonly classes: readonly string[];
  /** Training texts, or all where there is no official split. */
  readonly train: LabelledTexts;
  /** Validation texts of an official split. */
  readonly validation?: LabelledTexts;
  /** Test texts of an official split. */
  readonly test?: LabelledTexts;
  /** Sentences for people: which columns are used, and what was left out. */
  readonly notes?: readonly string[];
}
