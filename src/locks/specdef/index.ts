import { chosenOptimizer, courseSteps } from '../../training/index.js';
import { raisedNames } from '../knowledge.js';
import type { LockContext, LockMethod } from '../lock-method.js';
import { raisedMatrices } from './matrices.js';
import { type SpecDefOptions, specDefOptions } from './options.js';
import { runSpecDef, type SpecDefResult } from './run.js';

/** What SpecDef is beside other lock methods: it says all that a method may, and has always measured what it cost. */
export interface SpecDef extends Required<Omit<LockMethod<SpecDefOptions>, 'plan' | 'draws' | 'rebuilds' | 'proxies'>> {
  /** Locks: changes `context.weights` in place. */
  run(context: LockContext, options: SpecDefOptions): Promise<SpecDefResult>;
}

/** SpecDef: raises the largest singular values of every weight matrix while a retain loss keeps the behaviour (Algorithm 1). */
export const specdef: SpecDef = {
  name: 'specdef',
  description: 'spectral deformation: raise the top-k singular values of every weight matrix (Algorithm 1)',
  class: 'off-manifold',
  undoneBy:
    'clipping the raised singular values; in a ReLU network without normalization also rescaling the layers, at no cost',
  options: specDefOptions,
  needsData: true,
  steps: (options, trainExamples) => courseSteps(options, trainExamples, options.batchSize),
  training: (options) => ({
    batchSize: options.batchSize,
    accumulate: options.accumulate,
    recompute: options.recompute,
    optimizer: chosenOptimizer(options),
  }),
  moreGradients: () => 0,
  locks: (weights, options) => raisedMatrices(weights, options).all.map(({ name }) => name),
  // Nothing is pushed where the retain loss has all the weight.
  reveals: ({ topK, lead, alpha, ...names }) =>
    alpha === 1
      ? {}
      : {
          raised: {
            ...{ topK, ...raisedNames(names) },
            lead: { topK: lead.topK, include: lead.share > 0 ? lead.include : [] },
          },
        },
  // The retain training alone, with the same batches, steps and budget.
  sham: (options) => ({ ...options, alpha: 1 }),
  glance: ({ meanSigma }) => `mean σ ${Number(meanSigma).toFixed(1)}`,
  run: (context, options) => runSpecDef(context, options),
};
