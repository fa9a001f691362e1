import { z } from 'zod';
import type { TopSingularTriplets } from '../../linalg/index.js';
import { parameterSet, weightMatrices } from '../../models/index.js';
import { withOptimizers } from '../../training/index.js';
import type { LockContext, LockMethod, LockReportValue, LockResult } from '../lock-method.js';
import type { LockedMatrix } from './algorithm.js';
import { clipTerm, shrinkRest } from './clipped.js';
import { RaisedEnergy } from './energy.js';
import { asUsed, foldBatchNorms, trackedNames } from './fold.js';
import { specdef } from './index.js';
import { ownOptions } from './options.js';
import { runSpecDef, type SpecDefExtras } from './run.js';
import { tripletSource } from './spectrum.js';

/** Options of `specdef-moved`. */
export const movedOptions = withOptimizers(
  ownOptions.extend({
    shrink: z
      .number()
      .min(0)
      .max(0.5)
      .default(0.05)
      .describe(
        'share ρ by which what a matrix is beside its raised directions shrinks at each check within the budget',
      ),
    clip: z
      .strictObject({
        weight: z
          .number()
          .min(0)
          .default(1)
          .describe('weight of the term that lets a clip delete function; 0: none, which halves the time of a step'),
        levels: z
          .array(z.number().min(0).max(1))
          .min(1)
          .default([0, 0.25, 0.5])
          .describe('shares that a clip leaves of the raised singular values, one a step in turn'),
        bound: z
          .number()
          .positive()
          .default(2)
          .describe('retain loss of a clipped model from which on it is pushed no further'),
      })
      .prefault({})
      .describe('what the clipped model must lose'),
    foldBatchNorm: z
      .boolean()
      .default(false)
      .describe('fold batch norm into the convolutions before the lock, and use stored statistics while locking'),
  }),
);

/** Parsed options of `specdef-moved`. */
export type MovedOptions = z.output<typeof movedOptions>;

/**
 * SpecDef with the function moved into the raised directions: raises σ₁…σ_k, shrinks the rest while the utility is within the budget, and
 * keeps the clipped model from being of use, so that a clip deletes function.
 */
export const specdefMoved: LockMethod<MovedOptions> = {
  ...specdef,
  name: 'specdef-moved',
  description: 'specdef that moves the function into the raised directions, so that a clip deletes it',
  class: 'off-manifold',
  undoneBy: 'clipping and training again what the clip deleted, which is as much as the moved share of the function',
  options: movedOptions,
  moreGradients: ({ clip }) => (clip.weight > 0 ? 1 : 0),
  sham: (options) => ({ ...options, alpha: 1, shrink: 0, clip: { ...options.clip, weight: 0 } }),
  glance: ({ meanSigma, meanEnergy }) =>
    `mean σ ${Number(meanSigma).toFixed(1)}${meanEnergy === undefined ? '' : `, ${(100 * Number(meanEnergy)).toFixed(0)} % of the function in it`}`,
  run: runMoved,
};

async function runMoved(context: LockContext, options: MovedOptions): Promise<LockResult> {
  const { weights, engine, seed } = context;
  const model = options.foldBatchNorm ? asUsed(context.model) : context.model;
  const energy = new RaisedEnergy(context.model, await context.validation(), { seed, engine });
  const tracked = trackedNames(context.model);
  const { shrink, clip } = options;
  let shrinks = 0;
  let folded: string[] = [];
  const extras: SpecDefExtras = {
    model,
    // The clipped model has a gradient of its own, of all rows.
    isWhole: true,
    begin: () => {
      folded = options.foldBatchNorm ? foldBatchNorms(context.model, weights) : [];
    },
    step: async (params, step, found, { retain, matrices }) => {
      if (clip.weight === 0) return found;
      // The next computation writes over them.
      const gradients = new Map([...found.gradients].map(([name, values]) => [name, values.slice()]));
      const clipped = await clipTerm(params, step, {
        ...{ ...clip, retain, matrices, triplets: found.triplets, tracked },
        level: clip.levels[step % clip.levels.length],
      });
      for (const [name, values] of clipped.gradients) {
        const sum = gradients.get(name);
        if (sum) for (let i = 0; i < values.length; i++) sum[i] += values[i];
      }
      const terms = { clippedLoss: clipped.loss, clipTerm: clipped.term };
      return { ...found, loss: found.loss + clipped.term, gradients, terms };
    },
    checked: async (params, { matrices, isWithin }) => {
      const triplets = await tripletsOf(params, matrices);
      const shares = await energy.shares(params, matrices, triplets);
      const measured: Record<string, LockReportValue> = { energy: shares, meanEnergy: mean(Object.values(shares)) };
      if (!isWithin || shrink === 0) return measured;
      for (const matrix of matrices) {
        const [values, own] = [params.get(matrix.name), triplets.get(matrix.name)];
        if (values && own) shrinkRest(values, matrix, { triplets: own, share: shrink });
      }
      shrinks++;
      return measured;
    },
    meta: {
      save: () => ({ shrinks, folded }),
      restore: (meta) => {
        shrinks = Number(meta.shrinks);
        folded = meta.folded as string[];
      },
    },
  };
  try {
    const result = await runSpecDef(context, options, extras);
    const params = parameterSet(weights);
    const matrices = weightMatrices(weights, options).map((matrix) => ({
      ...matrix,
      svd: tripletSource(matrix, options.topK, seed, { exact: options.exact }),
    }));
    const energies = await energy.shares(params, matrices, await tripletsOf(params, matrices));
    return { ...result, story: { shrinks, folded, energy: energies } };
  } finally {
    await energy.release();
  }
}

async function tripletsOf(params: ReadonlyMap<string, Float32Array>, matrices: readonly LockedMatrix[]) {
  const found = new Map<string, TopSingularTriplets>();
  for (const { name, svd } of matrices) {
    const values = params.get(name);
    if (values) found.set(name, await svd.triplets(values));
  }
  return found;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
