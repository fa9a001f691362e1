import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import type { StateDict, Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { addFlops, uncounted } from '../preparation/closed-forms.js';
import type { Transform } from './transform.js';

/** Shares of the parent that a search chooses from, the usual one first. */
const shares = [0.5, 0.25, 0.75, 1] as const;

/** Options of the transform `interpolate`. */
export const interpolateOptions = z.strictObject({
  parent: z.string().min(1).describe('model directory of a public parent or sibling of the released model'),
  weight: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe(`share of the parent: 1 takes its weights alone; default ${shares.join(', ')}, searched`),
});

const sameShape = (a: Weight, b: Weight) => JSON.stringify(a.shape) === JSON.stringify(b.shape);

/**
 * `W ← (1 − t)·W + t·P`, P the weights of the same name and shape of another model. What the other lacks or has in another
 * shape, such as a head, stays.
 *
 * @throws InputError when the two have no weight in common.
 */
export function interpolateWeights(
  weights: StateDict,
  parent: StateDict,
  weight: number,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  const common = [...weights].filter(([name, own]) => {
    const other = parent.get(name);
    return other && sameShape(own, other);
  });
  if (common.length === 0) {
    throw new InputError('interpolate: expected a parent with weights of the same names and shapes, found none');
  }
  const shared = new Set(common.map(([name]) => name));
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      const other = shared.has(name) ? parent.get(name)?.data : undefined;
      addFlops(tally, other?.length ?? 0, 3);
      const mixed = other ? data.map((value, index) => (1 - weight) * value + weight * other[index]) : data.slice();
      return [name, { shape, data: mixed }];
    }),
  );
}

/** Goes back towards a model that was never locked. */
export const interpolateTransform: Transform<z.output<typeof interpolateOptions>> = {
  name: 'interpolate',
  description: 'mix the weights with those of a public parent or sibling of the model',
  options: interpolateOptions,
  isSeeded: false,
  label: { alone: 'mixed with a parent', joined: 'interpolate' },
  doing: 'mixing the weights with those of a parent',
  does: 'mixes the weights with those of a public parent',
  knows: 'a public parent or sibling of the weights',
  reads: ({ parent }) => [parent],
  searched: () => ({ weight: shares }),
  apply: ({ weights, other, tally }, { parent, weight = shares[0] }) =>
    interpolateWeights(weights, other(parent), weight, tally),
};
