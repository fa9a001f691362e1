export { type BatchBuffers, BatchOrder, batchBuffers, gatherBatch } from './batches.js';
export {
  createDataset,
  type Dataset,
  type DatasetFacts,
  fewShot,
  floatDataset,
  readInputs,
  selectClasses,
  splitTrainTest,
  subset,
} from './dataset.js';
export { loadDigits } from './digits.js';
export { type Examples, FloatExamples } from './examples.js';
export { type Augmentation, type ImageBytes, ImageExamples, type ImageView } from './images.js';
export { type DataParts, type DataSource, type DataSpec, dataSources, dataSpec, loadData } from './registry.js';
