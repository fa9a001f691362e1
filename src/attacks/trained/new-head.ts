import { z } from 'zod';
import { initializeModel, type ModelSpec, type StateDict } from '../../models/index.js';
import { layerOrder } from '../layer-order.js';
import { searchFineTuning } from './all.js';
import { partialTraining } from './selected.js';
import { someWeights } from './trainable.js';
import type { SearchContext, TrainedPart } from './trained-part.js';

/** Apart from the seeds of released models and of training from scratch. */
const freshHeadSeed = 2_000_000;

/** The weights with the head drawn anew. */
function withNewHead(model: ModelSpec, weights: StateDict, seed: number): StateDict {
  const config = model.config as Record<string, unknown>;
  const fresh = initializeModel(model.architecture.name, config, freshHeadSeed + seed).weights;
  const head = new Set(layerOrder(model).head);
  return new Map(
    [...weights].map(([name, weight]) => [name, (head.has(name) ? fresh.get(name) : undefined) ?? weight]),
  );
}

/**
 * Draws the head anew and trains it alone, on what the last block gives; a last norm counts to the head. Frozen use sees the
 * outputs instead, in which a head of few classes leaves little of it.
 */
export const newHead: TrainedPart<Record<string, never>> = {
  name: 'head',
  description: 'train a new head alone, on what the last block gives',
  label: 'training of a new head',
  options: z.strictObject({}),
  ...partialTraining,
  applies: ({ model }) => (layerOrder(model).head.length > 0 ? undefined : 'find no head with weights of its own'),
  search: (context) => {
    const head = new Set(layerOrder(context.model).head);
    const prepared: SearchContext['prepared'] = async (seed, point) => {
      const { weights, work } = await context.prepared(seed, point);
      return { weights: withNewHead(context.model, weights, seed), work };
    };
    return searchFineTuning(
      { ...context, prepared },
      someWeights((name) => head.has(name)),
    );
  },
};
