export {
  type Advantage,
  type AttackRow,
  attackersAdvantage,
  bestRow,
  costs,
  heldAdvantage,
  holdsButForOverlooked,
  isMeasured,
  type Measure,
  type OverlookedAttack,
  overallVerdict,
  scores,
  spentOn,
  type Verdict,
  verdictOf,
} from './assessment.js';
export type { Bench, KeyedBench, Runnable } from './bench.js';
export { type BestSoFar, type BestSoFarPoint, bestSoFar } from './best-so-far.js';
export { type BoundedAdvantages, boundedAdvantages, keepsUtility, usualUtilityDrop, utilityOf } from './bounded.js';
export { type AttackFacts, type Composition, factsOf, labelOf } from './composition.js';
export { constantScore } from './constant-answer.js';
export { composition, compositions, type DefinedComposition, definedAttack } from './defined.js';
export { endWithParent } from './end-with-parent.js';
export {
  evaluationSteps,
  type FineTuneOptimizer,
  type FineTuneOptions,
  fineTune,
  type Pauses,
  type Trial,
} from './fine-tune.js';
export { type Features, type FrozenUseOptions, frozenUse, regressionsOf } from './frozen-use.js';
export { type HalvingOptions, rungsOf, stepsOfHalving, successiveHalving, survivors } from './halving.js';
export { knownOptions } from './learned.js';
export { type RegressionSizes, secondsOfRegression } from './logistic-regression.js';
export { isMeasuredTrial, type MissingTrials, measuredTrials, missingTrials } from './measured.js';
export {
  type AttackChoice,
  type AttackOptimizer,
  type AttackSetting,
  attacksOf,
  compositionOf,
  learnedOptions,
  optimizersOf,
  optionsOfTransforms,
  type PlannedAttacks,
  type PlannedSearch,
  type PlannedStart,
  planAttacks,
  plannedSearches,
  plannedStarts,
  type SpaceSearch,
  type TransformOptions,
  trainedOptionsOf,
} from './plan.js';
export { attacksTooLong, drawsLeftOut, drawsNotSearched, optimizersLeftOut } from './plan-notes.js';
export { type PoolOptions, runAttackTasks } from './pool.js';
export { type Attack, attacks, attacksOfSuite, isAdaptive, type Suite, suites } from './registry.js';
export {
  impossibleSearch,
  isTrialOf,
  onlyCandidate,
  ranked,
  type SearchBudget,
  type SearchMethod,
  type SearchResult,
  type SettingOfTrial,
  searchLearningRate,
  stepsOfSearchTrial,
  type TrialLog,
  type TrialSetting,
  trialCount,
} from './search.js';
export { flopsToTarget, secondsToTarget, slowdownOf } from './slowdown.js';
export {
  type Candidate,
  type Dimension,
  keyOf,
  optionsAt,
  type SearchPoint,
  type SearchSpace,
  sobolCandidates,
} from './space.js';
export { type Spent, sumOfSpent } from './spent.js';
export { type AttackTargets, type CountsAs, type Start, type StartingPoint, starts } from './starts.js';
export { AttackRunner, type AttackTask } from './task.js';
export * from './trained/index.js';
export {
  modelDigest,
  modelsRead,
  type OtherModels,
  TransformedWeights,
  transformWeights,
} from './transformed-weights.js';
export * from './transforms/index.js';
export { type UnlockedFailure, unlockedFailures } from './unlocked-failures.js';
export type { TrialUtility } from './utility-after.js';
export { type BoundedCase, type CheapestAttack, type LockVerdict, lockVerdict, type WorstCase } from './verdict.js';
export { WeightsStore } from './weights-store.js';
export { addWork, noWork, type PreparedWeights, type Work } from './work.js';
export { bytesOfProcess, plannedShare } from './worker-memory.js';
