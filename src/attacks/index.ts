export {
  type Advantage,
  type AttackRow,
  attackersAdvantage,
  bestRow,
  costs,
  isMeasured,
  type Measure,
  type StartName,
  scores,
} from './assessment.js';
export { clipRaised, type Raised, raisedOptions } from './clip.js';
export { evaluationSteps, type FineTuneOptions, fineTune, type Metric, type Trial } from './fine-tune.js';
export { type FrozenUseOptions, frozenUse } from './frozen-use.js';
export { type PoolOptions, runAttackTasks } from './pool.js';
export { type Attack, type AttackOptimizer, type AttackSetting, attacks, searches } from './registry.js';
export { resetWeights } from './reset.js';
export {
  ranked,
  type SearchBudget,
  type SearchResult,
  searchLearningRate,
  type TrialSetting,
  trialCount,
} from './search.js';
export { AttackRunner, type AttackTask, type Start } from './task.js';
