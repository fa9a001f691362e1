import { z } from 'zod';
import { RandomStream } from '../../linalg/index.js';
import { parseOptions } from '../../registry/index.js';
import { beginUpdate, type Optimizer, type OptimizerEntry, parameterFor, requireOracle } from './optimizer.js';

const mezoOptions = z.strictObject({
  eps: z.number().positive().default(1e-3).describe('how far weights are moved along the random direction, both ways'),
  weightDecay: z.number().min(0).default(0).describe('share of the weight, times lr, taken off at each step'),
  seed: z.int().default(0).describe('decides the random directions'),
});

/**
 * MeZO: gradient descent by two forward passes, along one random direction a step; no gradient is computed.
 *
 *     z ~ N(0, I)
 *     s = (loss(p + eps · z) − loss(p − eps · z)) / (2 eps)
 *     p = p − lr · (s · z + weightDecay · p)
 *
 * The direction of a step depends on the seed, the parameter's name and the step alone. The authors draw z anew at each use
 * and undo moves by opposite ones, so as to hold nothing beside the weights; here direction and weights are kept for the
 * length of a step, so that no rounding stays. Remembers nothing between steps.
 *
 * @param options - `eps` 1e-3, `weightDecay` 0, `seed` 0.
 * @throws InputError when the options do not fit.
 * @example mezo({ eps: 1e-2 })
 * @see Malladi et al., "Fine-Tuning Language Models with Just Forward Passes", NeurIPS 2023, Algorithm 1.
 */
export function mezo(options: z.input<typeof mezoOptions> = {}): Optimizer {
  const { eps, weightDecay, seed } = parseOptions(mezoOptions, options, 'mezo');
  const kept = new Map<string, { z: Float32Array; before: Float32Array }>();
  return {
    name: 'mezo',
    needs: ['lossAlone'],
    isGradientFree: true,
    init: () => ({ step: 0, slots: {} }),
    async update(grads, state, params, learningRate, oracle) {
      const { step } = state;
      beginUpdate(state, learningRate);
      const trained = Array.from(grads, ([name, grad]) => ({ name, param: parameterFor(params, name, grad) }));
      const asked = requireOracle(oracle, 'mezo');
      for (const { name, param } of trained) {
        const { length } = param;
        const arrays = kept.get(name) ?? { z: new Float32Array(length), before: new Float32Array(length) };
        kept.set(name, arrays);
        arrays.before.set(param);
        new RandomStream(seed, `mezo direction ${name}`, step).fillNormal(arrays.z, 0, 1);
      }
      const lossAt = (distance: number) => {
        for (const { name, param } of trained) moveTo(param, kept.get(name), distance);
        return asked.lossAlone();
      };
      const slope = ((await lossAt(eps)) - (await lossAt(-eps))) / (2 * eps);
      for (const { name, param } of trained)
        moveTo(param, kept.get(name), -learningRate * slope, learningRate * weightDecay);
    },
  };
}

/** `param = before · (1 − decay) + distance · z`. */
function moveTo(
  param: Float32Array,
  { z, before }: { readonly z: Float32Array; readonly before: Float32Array } = { z: param, before: param },
  distance: number,
  decay = 0,
): void {
  for (let i = 0; i < param.length; i++) param[i] = before[i] * (1 - decay) + distance * z[i];
}

/** Registry entry of {@link mezo}. */
export const mezoEntry: OptimizerEntry = {
  name: 'mezo',
  description: 'MeZO: descent by two forward passes a step, without gradients',
  options: mezoOptions,
  search: { decades: [-2, -3, -4, -1, -5, -6] },
  isJoint: true,
  create: mezo,
};
