export { measuredFrontier } from './measured-frontier.js';
export { kindOf, type ModelKind } from './model-kind.js';
export {
  type LockCandidate,
  type LockObjection,
  type LockStrength,
  type Recommendation,
  type RecommendationLimits,
  recommendLock,
  strengthOf,
} from './recommend.js';
export { type PacedModel, secondsOfLock } from './seconds-of-lock.js';
