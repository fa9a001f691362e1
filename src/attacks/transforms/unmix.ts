import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import { type Draws, drawsOf, type FreshWeight, freshWeights, type Mixed } from '../../locks/index.js';
import type { ModelSpec, StateDict, Weight } from '../../models/index.js';
import { addFlops, uncounted } from '../preparation/closed-forms.js';
import type { Transform } from './transform.js';

const patterns = z.array(z.string().min(1));

/** Seeds that people use. */
const usualSeeds = Array.from({ length: 16 }, (_, seed) => seed);

/** Values that a seed is judged on: from the smallest weights on, so that a guess costs as little for a large model. */
const judgedValues = 2 ** 18;

/** Standard deviations beyond chance from which on a seed counts as found: of a million guesses none is so by chance. */
const certain = 6;

/** Options of the transform `unmix`. */
export const unmixOptions = z.strictObject({
  a: z.number().gt(0).lt(1).default(0.5).describe('share of fresh numbers that the lock mixed in'),
  seeds: z
    .array(z.int().min(0))
    .min(1)
    .default(usualSeeds)
    .describe('seeds to guess the fresh numbers by; default 0 to 15'),
  include: patterns.default(['*']).describe('names of the weights that were mixed, * stands for any characters'),
  exclude: patterns.default([]).describe('names of weights that were not'),
});

/** Parsed {@link unmixOptions}. */
export type UnmixOptions = z.output<typeof unmixOptions>;

/** What of a matrix lies along others of its size: the least-squares factor, and the cosine. */
function along(
  values: Float32Array,
  other: Float32Array,
  tally: FlopTally,
): { readonly factor: number; readonly cosine: number } {
  addFlops(tally, values.length, 6);
  let [own, both, square] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    own += values[i] * values[i];
    both += values[i] * other[i];
    square += other[i] * other[i];
  }
  if (own === 0 || square === 0) return { factor: 0, cosine: 0 };
  return { factor: both / square, cosine: both / Math.sqrt(own * square) };
}

/** The smallest matrices that are enough to judge a guess by. */
function judgedBy(weights: readonly FreshWeight[]): FreshWeight[] {
  let values = 0;
  return weights
    .filter(({ isMatrix }) => isMatrix)
    .sort((a, b) => a.data.length - b.data.length)
    .filter(({ data }) => {
      const isNeeded = values < judgedValues;
      values += data.length;
      return isNeeded;
    });
}

/**
 * The seed whose fresh numbers lie in some weights: where it is the wrong one, `√n · cosine` of a matrix of n values is standard normal,
 * and so is the sum over M matrices by √M.
 */
function seedIn(
  weights: readonly FreshWeight[],
  seeds: readonly number[],
  tally: FlopTally = uncounted(),
): number | undefined {
  const judged = judgedBy(weights);
  let [best, most]: [number | undefined, number] = [undefined, certain];
  for (const seed of seeds) {
    const draws = drawsOf(seed);
    const sum = judged.reduce(
      (total, { data, fresh }) => total + Math.sqrt(data.length) * along(data, fresh(draws), tally).cosine,
      0,
    );
    const deviations = sum / Math.sqrt(judged.length);
    if (deviations > most) [best, most] = [seed, deviations];
  }
  return best;
}

/** The values before `(1 − a)·θ + a·ξ`: of a matrix, whose ξ was scaled, less what of it lies along ξ. */
function unmixed(
  { isMatrix, data, fresh: drawn }: FreshWeight,
  a: number,
  draws: Draws,
  tally: FlopTally,
): Float32Array {
  const fresh = drawn(draws);
  const factor = isMatrix ? along(data, fresh, tally).factor : a;
  addFlops(tally, data.length, 3);
  return data.map((value, index) => (value - factor * fresh[index]) / (1 - a));
}

/**
 * Takes the fresh numbers out of weights again that `redistil` mixed with them: `θ = (W − c·ξ) / (1 − a)`, ξ by the first of the seeds
 * that explains the weights. It takes neither data nor learning. What the lock has distilled since stays, divided too.
 *
 * @returns New weights; the same ones where no seed explains them.
 */
export function unmixWeights(
  model: ModelSpec,
  weights: StateDict,
  { a, seeds, ...mixed }: Mixed & Pick<UnmixOptions, 'a' | 'seeds'>,
  tally: FlopTally = uncounted(),
): StateDict {
  const found = freshWeights(model, weights, mixed);
  const seed = seedIn(found, seeds, tally);
  if (seed === undefined) return weights;
  const draws = drawsOf(seed);
  const changed = new Map<string, Weight>(weights);
  for (const each of found) {
    changed.set(each.name, { shape: weights.get(each.name)?.shape ?? [], data: unmixed(each, a, draws, tally) });
  }
  return changed;
}

/** Takes out again what a lock mixed in, where it was drawn from a seed that can be guessed. */
export const unmixTransform: Transform<UnmixOptions> = {
  name: 'unmix',
  description: 'guess the seed of the fresh numbers that a lock mixed in, and subtract them',
  options: unmixOptions,
  isSeeded: false,
  label: { alone: 'unmixed', joined: 'unmix' },
  doing: 'subtracting what a lock mixed in',
  does: 'subtracts the fresh numbers that a lock mixed in, where a seed gives them',
  knows: 'what share of fresh numbers the lock mixed in',
  learn: ({ mixed }) => (mixed && mixed.a < 1 ? unmixOptions.parse(mixed) : undefined),
  applies: ({ model, weights }, { seeds, ...mixed }) =>
    seedIn(freshWeights(model, weights, mixed), seeds) === undefined
      ? `finds no numbers in the weights that one of ${seeds.length} guessed seeds gives`
      : undefined,
  apply: ({ model, weights, tally }, options) => unmixWeights(model, weights, options, tally),
};
