import { z } from 'zod';
import { frozenUse } from '../frozen-use.js';
import type { TrainedPart } from './trained-part.js';

/** Frozen use: leaves the weights as they are and trains a small classifier on the outputs. */
export const noWeights: TrainedPart<Record<string, never>> = {
  name: 'none',
  description: 'leave the weights as they are and fit a small classifier on the outputs',
  label: 'frozen use',
  options: z.strictObject({}),
  trains: false,
  // The classifier is trained with AdamW: at that optimizer's rates, where they are searched.
  choose: (optimizers) => [optimizers.find(({ name }) => name === 'adamw') ?? optimizers[0]],
  search: ({ model, weights, train, optimizer: { schedule }, shared, budget, evaluator, engine, log }) =>
    frozenUse({ ...shared, model, weights: weights(0), train, budget, evaluator, engine, schedule }, log),
};
