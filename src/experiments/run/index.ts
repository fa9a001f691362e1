export { lockDraws } from './lock-draws.js';
export { Plan, type PlannedPart, PlannedRunner } from './planned-runner.js';
export { type LockedInfo, type MadeModel, Runner, type TaskData, type TrainedInfo } from './runner.js';
export { type ModelSource, openModel, type RunContext, type RunSpec } from './spec.js';
