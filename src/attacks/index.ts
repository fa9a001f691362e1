export {
  type Advantage,
  type AttackRow,
  attackersAdvantage,
  bestRow,
  costs,
  heldAdvantage,
  isMeasured,
  type Measure,
  overallVerdict,
  type StartName,
  scores,
  type Verdict,
  verdictOf,
} from './assessment.js';
export { evaluationSteps, type FineTuneOptions, fineTune, type Trial } from './fine-tune.js';
export { type FrozenUseOptions, frozenUse } from './frozen-use.js';
export { type PoolOptions, runAttackTasks } from './pool.js';
export {
  type Attack,
  type AttackOptimizer,
  type AttackSetting,
  attackSearches,
  attacks,
  isAvailable,
  searches,
  type TransformOptions,
} from './registry.js';
export {
  ranked,
  type SearchBudget,
  type SearchResult,
  searchLearningRate,
  type TrialSetting,
  trialCount,
} from './search.js';
export { AttackRunner, type AttackTask, type Start } from './task.js';
export * from './transforms/index.js';
