export { type Checkpoint, checkpointToTensors, tensorsToCheckpoint } from './checkpoint.js';
export {
  type Course,
  chosenSchedule,
  courseOptions,
  courseSchedule,
  courseSchedules,
  courseSteps,
  createSchedule,
  type ScheduleSpec,
  scheduleOptions,
} from './course.js';
export { type CurvatureKind, CurvaturePrograms, type LossGraph } from './curvature.js';
export { DivergedError, type Divergence } from './diverged.js';
export { Evaluator, type EvaluatorOptions, type OutputOptions, type PassWatch } from './evaluate.js';
export { matrixProduct, type Operand } from './matrix-products.js';
export { evaluationBytes, layoutsOf, stepBytes } from './memory.js';
export {
  createObjective,
  type LossWeights,
  type Objective,
  type ObjectiveOptions,
  requireTrainable,
  type StepQuestion,
  type StepResult,
} from './objective.js';
export {
  chosenOptimizer,
  createOptimizer,
  type Moving,
  movingOptions,
  type OptimizerSpec,
  optimizerOptions,
  searchedOptimizerOptions,
  withOptimizers,
} from './optimizer-options.js';
export * from './optimizers/index.js';
export type { Original, Reference } from './original.js';
export { type PartFit, PartFits } from './part-fits.js';
export type { NamedRows } from './row-tables.js';
export { type RowRun, RowUpdates } from './row-updates.js';
export { type RunOptions, type RunResult, type RunState, runSteps, type StepReport } from './run.js';
export {
  constantSchedule,
  cosineSchedule,
  linearSchedule,
  type Schedule,
  type ScheduleEntry,
  schedules,
  stepSchedule,
} from './schedules.js';
export { type StepFlops, stepFlops } from './step-flops.js';
export { TopOutputs } from './top-outputs.js';
export { type UtilityByType, utilityByType, utilityPasses } from './utility.js';
export { WeightsKeeper } from './weights-keeper.js';
export type { OtherDefaults } from './with-defaults.js';
