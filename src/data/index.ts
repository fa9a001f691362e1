export { alteredTexts, type TextAlteration } from './altered-texts.js';
export { allocateBatch, BatchOrder, batchAt, batchOrder, gatherBatch, layoutAt, readBatch } from './batches.js';
export { bucketOf } from './buckets.js';
export { type CheckedData, checkData } from './check.js';
export type { NearDuplicates } from './check-texts.js';
export {
  type ImageCollection,
  imagesInMemory,
  type LabelledImages,
  type LabelledPart,
  type Normalization,
  statisticsOf,
} from './collection.js';
export { contactSheet } from './contact-sheet.js';
export type { ImageForm } from './convert.js';
export {
  createDataset,
  type Dataset,
  type DatasetFacts,
  drawSome,
  fewShot,
  floatDataset,
  type Labelled,
  type LabelledDataset,
  labelledAs,
  type Selection,
  selectAll,
  selectClasses,
  splitTrainTest,
  subset,
  textsApart,
  withInputs,
  withoutAnswers,
} from './dataset.js';
export {
  type DataDescription,
  type DataKind,
  describeData,
  type FoundData,
  findData,
  type SplitDescription,
} from './describe.js';
export { sourceAt } from './detect.js';
export type { DuplicatePair, Duplicates } from './duplicates.js';
export type { TextEncoding } from './encode-text.js';
export { type Examples, FloatExamples, NO_CLASS, type TokenClasses } from './examples.js';
export { type DataFiles, dataFiles } from './files.js';
export { type Augmentation, type ImageBytes, ImageExamples, type ImageView } from './images.js';
export { loadData, loadDigits } from './load.js';
export type { DataParts } from './parts.js';
export { isPoisoned, usualTrigger, withoutTrigger } from './poison.js';
export { withPreprocessing } from './prepared-spec.js';
export type { Preprocessing } from './preprocessing.js';
export { textEncoding } from './present-texts.js';
export { type Collection, type DataLayout, type DataSource, dataSources } from './registry.js';
export type { Interpolation } from './resize.js';
export { type DataSpec, dataSpec } from './spec.js';
export { TextExamples, type TextForm } from './text-examples.js';
export { type TextLengths, textLengths } from './text-lengths.js';
export type { LabelledTexts, TextCollection, TextRecord } from './texts.js';
