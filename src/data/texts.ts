import type { ChatMessage } from '../text/index.js';
import type { LabelledPart } from './collection.js';

/** A text as a source has it. */
export interface TextRecord {
  /** The text, or the first of two; of a conversation, all that is said; of words, these with spaces between. */
  readonly text: string;
  /** The second of two texts. */
  readonly pair?: string;
  /** The turns of a conversation. */
  readonly messages?: readonly ChatMessage[];
  /** The words, where the text comes in words: each is encoded on its own. */
  readonly words?: readonly string[];
}

/** Texts of one part of a data set. */
export interface LabelledTexts extends LabelledPart {
  /** A text. */
  record(index: number): TextRecord;
  /** Names of the classes of words; undefined where words have none. */
  readonly wordClasses?: readonly string[];
  /** The class of each word of a text. */
  wordLabels?(index: number): readonly number[];
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
