import { Registry } from '../registry/index.js';
import { dlr } from './dlr/index.js';
import { erase } from './erase/index.js';
import { immunize } from './immunize/index.js';
import type { LockMethod } from './lock-method.js';
import { redistil } from './redistil/index.js';
import { repnoise } from './repnoise/index.js';
import { specdef } from './specdef/index.js';
import { specdefMoved } from './specdef/moved.js';
import { rebalance } from './symmetry/rebalance.js';
import { spectralClosed } from './symmetry/spectral-closed.js';
import { tar } from './tar/index.js';
import { trap } from './trap/index.js';

export { type LockData, lockContext, type OpenLockContext } from './context.js';
export { type LockKey, lockKey, readLockKey, relock, requireLockedBy, unlock } from './key.js';
export type {
  LockClass,
  LockContext,
  LockFact,
  LockKnowledge,
  LockMethod,
  LockPlan,
  LockReportValue,
  LockResult,
  LockStepReport,
  LockStory,
  LockTraining,
  OnPass,
  PassListener,
  UtilityMeter,
} from './lock-method.js';
export { type FreshWeight, freshWeights, type Mixed, mixWithFresh } from './redistil/mix.js';
export { type Draws, drawsOf, freshSecret, type LockSecret, readSecret, secretOfSeed } from './secret.js';
export { type LockedMatrix, type SpecDefInputs, type SpecDefStep, specDefStep } from './specdef/algorithm.js';
export { type SpecDef, specdef } from './specdef/index.js';
export { type SpecDefOptions, specDefOptions } from './specdef/options.js';
export { type TripletOptions, type TripletSource, tripletSource } from './specdef/spectrum.js';
export { namesLocked, type StageOptions, stagedLock } from './stages.js';
export { type OutputError, OutputErrors } from './symmetry/output-errors.js';
export { type UtilityBudget, type UtilityCheck, UtilityGuard } from './utility-guard.js';

/** All lock methods by name. */
export const lockMethods = new Registry<LockMethod>('lock method', [
  specdef,
  specdefMoved,
  redistil,
  erase,
  trap,
  repnoise,
  tar,
  immunize,
  dlr,
  spectralClosed,
  rebalance,
] as LockMethod[]);
