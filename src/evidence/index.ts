export { weightlockVersion } from '../formats/index.js';
export { canonicalJson, configHash, type Difference, firstDifference } from './config-hash.js';
export { digestOf, digestOfFiles, digestOfFolder, digestOfModel, digestOfWeights, tensorDigest } from './digest.js';
export { describeEnvironment, type Environment, onnxruntimeVersion } from './environment.js';
export { checkHealth, checkNode, type HealthCheck } from './health.js';
export { type MetricRecord, toJson } from './metrics.js';
export {
  findLost,
  type LostOutputs,
  type ModelState,
  modelState,
  noteModel,
  saveOutput,
  writeOutput,
} from './outputs.js';
export { type FinishedRun, type RunOrigin, readOrigin, readRun } from './read-run.js';
export { RunFolder, type RunFolderOptions, type RunLocation, type RunState } from './run-folder.js';
export { type RunStatus, readStatus, runStatus, statusJsonSchema } from './status.js';
