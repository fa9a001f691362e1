export { type AttackSides, attackDoubts, sameWeights } from './attack-sense.js';
export { type AttackedModel, assessAttack } from './attacked.js';
export { cardDisagreements, cardLock, cardMetrics, cardOfData } from './card-of-data.js';
export { type DemoOptions, type DemoResult, demoOptions, demoSpec, runDemo } from './demo.js';
export { describeEstimate, estimateRun, type RunEstimate } from './estimate.js';
export {
  type DigestedTensor,
  type Inspection,
  type InspectOptions,
  inspectTensors,
  type MatrixReport,
  openMatrices,
} from './inspect.js';
export { type AttackJobContext, type AttackJobResult, attackExtent, attackJob } from './jobs/attack.js';
export {
  type AttackOptions,
  attackOptions,
  attackOptionsWith,
  budgetsOfSuites,
  isOneBudget,
  transformOptions,
} from './jobs/attack-options.js';
export { type AttackPlan, attackPlan, knownAttacks, modelsOfPlan } from './jobs/attack-plan.js';
export { attackWork, type SearchWork, type TrialTracker, trackTrials } from './jobs/attack-work.js';
export {
  keptSecret,
  type LockJobResult,
  largestSingularValues,
  lockJob,
  lockOnDiskJob,
  type MatrixSpectrum,
} from './jobs/lock.js';
export {
  type JobContext,
  type TrainOptions,
  type TrainResult,
  trainJob,
  trainOptions,
  trainSteps,
} from './jobs/train.js';
export { type KnownLock, lockOfCard, optionsOfKnown, whatIsKnown } from './known-lock.js';
export { evaluateModel, predict } from './measure.js';
export type { Interval } from './prediction/forecast.js';
export {
  type BatchPrediction,
  type ModelPrediction,
  type PredictionContext,
  type PredictionOptions,
  type PredictionResult,
  predictTraining,
  type Summary,
} from './prediction/predict-model.js';
export { notedProgress, type PhaseProgress } from './progress.js';
export * from './recommend/index.js';
export * from './reproduce/index.js';
export {
  fromResultFile,
  type ResultKind,
  type Results,
  resultJsonSchema,
  resultKinds,
  resultSchemaName,
  toResultFile,
} from './results.js';
export * from './run/index.js';
export type { SweepCell, SweepLock, SweepResult, SweptCell } from './sweep/cells.js';
export { JobDoer, type Workplace } from './sweep/do-job.js';
export { methodOf } from './sweep/lock-draw.js';
export { fewerJobs, runSweep, type SweepContext, sweepExtent } from './sweep/sweep.js';
export { raiseWarning, type UtilityChange, utilityChange, utilityWarnings } from './utility.js';
