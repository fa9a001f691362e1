export { type DemoOptions, type DemoProgress, type DemoResult, demoOptions, runDemo } from './demo.js';
export { type AttackOptions, type AttackTargets, attackJob, attackOptions, attackTrials } from './jobs/attack.js';
export { type LockJobResult, largestSingularValues, lockJob, type MatrixSpectrum } from './jobs/lock.js';
export { type JobContext, type TrainOptions, type TrainResult, trainJob, trainOptions } from './jobs/train.js';
