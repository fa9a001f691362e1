import { Registry } from '../registry/index.js';
import type { LockMethod } from './lock-method.js';
import { specdef } from './specdef/index.js';

export type { LockContext, LockMethod, LockResult, LockStepReport, UtilityBudget } from './lock-method.js';
export { type LockedMatrix, type SpecDefInputs, type SpecDefStep, specDefStep } from './specdef/algorithm.js';
export { specdef } from './specdef/index.js';
export { type WeightMatrix, weightMatrices } from './specdef/matrices.js';
export { type SpecDefOptions, specDefOptions } from './specdef/options.js';
export { type TripletOptions, type TripletSource, tripletSource } from './specdef/spectrum.js';

/** All lock methods by name. */
export const lockMethods = new Registry<LockMethod>('lock method', [specdef] as LockMethod[]);
