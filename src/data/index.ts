export { type BatchBuffers, BatchOrder, batchBuffers, gatherBatch } from './batches.js';
export { type Dataset, fewShot, selectClasses, splitTrainTest, subset } from './dataset.js';
export { loadDigits } from './digits.js';
export { type DataParts, type DataSource, type DataSpec, dataSources, dataSpec, loadData } from './registry.js';
