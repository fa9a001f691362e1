import { z } from 'zod';
import { InputError, parseOptions } from '../../registry/index.js';
import {
  beginUpdate,
  countGradient,
  fullSlot,
  type Optimizer,
  type OptimizerEntry,
  parameterFor,
  slotFor,
  stepSlot,
} from './optimizer.js';

const share = z.number().min(0).lt(1);

const scheduleFreeOptions = z.strictObject({
  betas: z
    .tuple([share, share])
    .default([0.9, 0.999])
    .describe('share of the average where the gradient is taken, and of the running mean of the squares that is kept'),
  eps: z.number().min(0).default(1e-8).describe('added to the denominator'),
  weightDecay: z.number().min(0).default(0).describe('share of the weight, times lr, taken off at each step'),
  r: z.number().min(0).default(0).describe('power of the step in its weight in the average'),
  weightLearningRatePower: z
    .number()
    .min(0)
    .default(2)
    .describe('power of the largest learning rate so far in the weight of a step in the average'),
});

/**
 * Schedule-free AdamW: an average of all weights so far in the place of a falling learning rate.
 *
 *     y = β1 · x + (1 − β1) · z                       (where the gradient is taken)
 *     v = β2 · v + (1 − β2) · grad²
 *     d = grad / (√(v / (1 − β2ᵗ)) + eps) + weightDecay · y
 *     z = z − lr · d
 *     w = tʳ · (largest lr so far)^weightLearningRatePower, c = w / Σ w
 *     x = (1 − c) · x + c · z
 *
 * The parameters are x, the weights that are meant to be used, at all times but from `prepare` to `update`: evaluations,
 * checkpoints and results see x, the gradient is taken at y. (Running statistics of batch norm are therefore those of y, as
 * in the authors' library.) A rise of the rate at the start is a schedule's, whose `warmupSteps` it needs most; t counts the
 * gradients of this parameter.
 *
 * Slots: `z`, `exp_avg_sq` (v), `step` (t), `weight_sum` (Σ w), `lr_max`.
 *
 * @param options - `betas` [0.9, 0.999], `eps` 1e-8, `weightDecay` 0, `r` 0, `weightLearningRatePower` 2.
 * @throws InputError when the options do not fit.
 * @example scheduleFreeAdamw({ betas: [0.95, 0.999] })
 * @see Defazio et al., "The Road Less Scheduled", NeurIPS 2024, in the form of schedulefree.AdamWScheduleFree, which keeps y.
 */
export function scheduleFreeAdamw(options: z.input<typeof scheduleFreeOptions> = {}): Optimizer {
  const parsed = parseOptions(scheduleFreeOptions, options, 'schedule-free-adamw');
  const { betas, eps, weightDecay, r, weightLearningRatePower } = parsed;
  const [beta1, beta2] = betas;
  /** x of the parameters that are at y, between `prepare` and `update`; arrays are kept for the next step. */
  const averages = new Map<string, Float32Array>();
  let isPrepared = false;

  return {
    name: 'schedule-free-adamw',
    init: (params) => ({
      step: 0,
      slots: {
        z: new Map(Array.from(params, ([name, values]) => [name, values.slice()])),
        exp_avg_sq: fullSlot(params),
        step: stepSlot(params),
        weight_sum: stepSlot(params),
        lr_max: stepSlot(params),
      },
    }),
    prepare(state, params) {
      for (const [name, param] of params) {
        const x = averages.get(name) ?? new Float32Array(param.length);
        averages.set(name, x);
        x.set(param);
        // Before the first gradient x is z; what never has one is not the optimizer's to move.
        if (slotFor(state, 'step', name, 1)[0] === 0) continue;
        const z = slotFor(state, 'z', name, param.length);
        for (let i = 0; i < param.length; i++) param[i] = beta1 * x[i] + (1 - beta1) * z[i];
      }
      isPrepared = true;
    },
    update(grads, state, params, learningRate) {
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) parameterFor(params, name, grad);
      for (const [name, y] of params) {
        const grad = grads.get(name);
        const t = slotFor(state, 'step', name, 1)[0];
        if (!grad) {
          if (isPrepared && t > 0) y.set(averages.get(name) ?? y);
          continue;
        }
        const z = slotFor(state, 'z', name, y.length);
        const v = slotFor(state, 'exp_avg_sq', name, y.length);
        const sum = slotFor(state, 'weight_sum', name, 1);
        const largest = slotFor(state, 'lr_max', name, 1);
        if (!isPrepared) {
          throw new InputError(
            'schedule-free-adamw: expected a gradient at the weights of prepare, which was not called',
          );
        }
        const count = countGradient(state, name);
        largest[0] = Math.max(largest[0], learningRate);
        const weight = count ** r * largest[0] ** weightLearningRatePower;
        sum[0] += weight;
        move(
          { y, x: averages.get(name) ?? y, z, v, grad },
          {
            beta2,
            eps,
            weightDecay,
            learningRate,
            scale: 1 / Math.sqrt(1 - beta2 ** count),
            // A rate of 0 so far: nothing has moved.
            share: weight > 0 ? weight / sum[0] : 0,
          },
        );
      }
      isPrepared = false;
    },
  };
}

function move(
  { y, x, z, v, grad }: Readonly<Record<'y' | 'x' | 'z' | 'v' | 'grad', Float32Array>>,
  factors: Readonly<Record<'beta2' | 'eps' | 'weightDecay' | 'learningRate' | 'scale' | 'share', number>>,
): void {
  const { beta2, eps, weightDecay, learningRate, scale, share } = factors;
  const rest = 1 - beta2;
  for (let i = 0; i < y.length; i++) {
    const g = grad[i];
    // Rounded first: a square beyond float32 stops the parameter, as in PyTorch.
    const square = Math.fround(beta2 * v[i] + rest * g * g);
    v[i] = square;
    const next = z[i] - learningRate * (g / (Math.sqrt(square) * scale + eps) + weightDecay * y[i]);
    z[i] = next;
    y[i] = (1 - share) * x[i] + share * next;
  }
}

/** Registry entry of {@link scheduleFreeAdamw}. */
export const scheduleFreeAdamwEntry: OptimizerEntry = {
  name: 'schedule-free-adamw',
  description: 'AdamW with an average of all weights in the place of a falling learning rate',
  options: scheduleFreeOptions,
  search: { decades: [-2, -3, -1, -4, 0, -5] },
  create: scheduleFreeAdamw,
};
