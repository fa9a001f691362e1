export { clipRaised } from './clip.js';
export { evaluationSteps, type FineTuneOptions, fineTune, type Trial } from './fine-tune.js';
export { type FrozenUseOptions, frozenUse } from './frozen-use.js';
export {
  bestTrial,
  type SearchBudget,
  type SearchResult,
  searchLearningRate,
  type TrialSetting,
  trialCount,
} from './search.js';
