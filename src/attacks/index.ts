export { type AttackFacts, type Composition, factsOf, labelOf } from './composition.js';
export { composition, compositions, type DefinedComposition, definedAttack } from './defined.js';
export { type Features, type FrozenUseOptions, frozenUse, regressionsOf } from './frozen/frozen-use.js';
export { type RegressionSizes, secondsOfRegression } from './frozen/logistic-regression.js';
export { knownOptions } from './learned.js';
export {
  type Advantage,
  attackersAdvantage,
  heldAdvantage,
  holdsButForOverlooked,
  isMeasured,
  type OverlookedAttack,
  overallVerdict,
  type Verdict,
  verdictOf,
} from './outcome/assessment.js';
export { type AttackRow, bestRow, costs, type Measure, scores, spentOn } from './outcome/attack-row.js';
export { type BestSoFar, type BestSoFarPoint, bestSoFar } from './outcome/best-so-far.js';
export {
  type BoundedAdvantages,
  boundedAdvantages,
  keepsUtility,
  usualUtilityDrop,
  utilityOf,
} from './outcome/bounded.js';
export { flopsToTarget, secondsToTarget, slowdownOf } from './outcome/slowdown.js';
export { type UnlockedFailure, unlockedFailures } from './outcome/unlocked-failures.js';
export {
  type BoundedCase,
  type CheapestAttack,
  type LockVerdict,
  lockVerdict,
  type WorstCase,
} from './outcome/verdict.js';
export { releasedWorth, type Worth } from './outcome/worth.js';
export { type Outdone, outdoneYardsticks } from './outcome/yardsticks.js';
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
export type { Bench, KeyedBench, Runnable } from './preparation/bench.js';
export { type Attack, attacks, attacksOfSuite, isAdaptive, type Suite, suites } from './registry.js';
export { type HalvingOptions, rungsOf, stepsOfHalving, successiveHalving, survivors } from './search/halving.js';
export { isMeasuredTrial, type MissingTrials, measuredTrials, missingTrials } from './search/measured.js';
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
} from './search/search.js';
export {
  type Candidate,
  type Dimension,
  keyOf,
  optionsAt,
  type SearchPoint,
  type SearchSpace,
  sobolCandidates,
} from './search/space.js';
export {
  type AlternativeModel,
  type AttackTargets,
  alternativeStart,
  type CountsAs,
  type ReadExamples,
  type Start,
  type StartingPoint,
  starts,
} from './starts.js';
export * from './trained/index.js';
export * from './transforms/index.js';
export { constantScore } from './trial/constant-answer.js';
export {
  evaluationSteps,
  type FineTuneOptimizer,
  type FineTuneOptions,
  fineTune,
  type Pauses,
  type Trial,
} from './trial/fine-tune.js';
export { type Spent, sumOfSpent } from './trial/spent.js';
export type { TrialUtility } from './trial/utility-after.js';
export { addWork, noWork, type PreparedWeights, type Work } from './trial/work.js';
export { endWithParent } from './workers/end-with-parent.js';
export { type PoolOptions, runAttackTasks } from './workers/pool.js';
export { AttackRunner, type AttackTask } from './workers/task.js';
export {
  modelDigest,
  modelsRead,
  type OtherModels,
  TransformedWeights,
  transformWeights,
} from './workers/transformed-weights.js';
export { WeightsStore } from './workers/weights-store.js';
export { bytesOfProcess, plannedShare } from './workers/worker-memory.js';
