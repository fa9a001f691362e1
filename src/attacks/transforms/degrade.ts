import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import { RandomStream } from '../../linalg/index.js';
import type { StateDict, Weight } from '../../models/index.js';
import { addFlops, uncounted } from '../preparation/closed-forms.js';
import { changeMatrices, includeOption, noMatrix, unusedInclude } from './spectrum.js';
import type { Transform } from './transform.js';

/** What a search chooses from, the usual one first: at 8 bits and at a hundredth of noise hardly anything changes. */
const [bitChoices, shareChoices, scaleChoices] = [
  [4, 3, 6],
  [0.5, 0.25, 0.75],
  [0.1, 0.3, 1],
] as const;

/** Options of the transform `quantize`. */
export const quantizeOptions = z.strictObject({
  bits: z
    .int()
    .min(2)
    .max(8)
    .optional()
    .describe(`bits of a number; default ${bitChoices.join(', ')}, searched`),
  include: includeOption,
});

/**
 * Rounds each matrix to whole numbers of so many bits times a scale of each row, `|w| ≤ max → round(w / s)·s` with
 * `s = max / (2^(bits − 1) − 1)`; the weights stay float32 and are trained as such.
 */
export function quantizeRows(
  weights: StateDict,
  { bits = bitChoices[0], include }: z.output<typeof quantizeOptions>,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  const most = 2 ** (bits - 1) - 1;
  return changeMatrices('quantize', weights, include, ({ data, columns }) => {
    const rounded = data.slice();
    // Size, comparison with the largest, quotient, rounding, product.
    addFlops(tally, data.length, 5);
    for (let start = 0; start < data.length; start += columns) {
      const row = rounded.subarray(start, start + columns);
      const scale = row.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) / most;
      if (scale > 0) for (let i = 0; i < columns; i++) row[i] = Math.round(row[i] / scale) * scale;
    }
    return rounded;
  });
}

/** Rounds the weights. */
export const quantizeTransform: Transform<z.output<typeof quantizeOptions>> = {
  name: 'quantize',
  description: 'round each weight matrix to a few bits, with a scale for each row',
  options: quantizeOptions,
  isSeeded: false,
  label: { alone: 'quantized', joined: 'quantize' },
  doing: 'quantizing the weights',
  does: 'rounds the weights to a few bits',
  searched: () => ({ bits: bitChoices }),
  applies: noMatrix,
  unused: unusedInclude('quantize'),
  apply: ({ weights, tally }, options) => quantizeRows(weights, options, tally),
};

/** Options of the transform `prune`. */
export const pruneOptions = z.strictObject({
  share: z
    .number()
    .gt(0)
    .lt(1)
    .optional()
    .describe(
      `share of the numbers of each matrix that become 0, the smallest ones; default ${shareChoices.join(', ')}, searched`,
    ),
  include: includeOption,
});

/** Sets the smallest numbers of each matrix to 0, of equal ones the first; they may be trained away from it. */
export function pruneSmallest(
  weights: StateDict,
  { share = shareChoices[0], include }: z.output<typeof pruneOptions>,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  return changeMatrices('prune', weights, include, ({ data }) => {
    const pruned = data.slice();
    // Sizes, and the comparisons of a sort.
    addFlops(tally, data.length, 1 + Math.log2(data.length));
    const order = Uint32Array.from(data, (_, index) => index).sort(
      (a, b) => Math.abs(data[a]) - Math.abs(data[b]) || a - b,
    );
    for (const index of order.subarray(0, Math.floor(share * data.length))) pruned[index] = 0;
    return pruned;
  });
}

/** Sets small weights to 0. */
export const pruneTransform: Transform<z.output<typeof pruneOptions>> = {
  name: 'prune',
  description: 'set the smallest numbers of each weight matrix to 0',
  options: pruneOptions,
  isSeeded: false,
  label: { alone: 'pruned', joined: 'prune' },
  doing: 'pruning the weights',
  does: 'sets the smallest weights to 0',
  searched: () => ({ share: shareChoices }),
  applies: noMatrix,
  unused: unusedInclude('prune'),
  apply: ({ weights, tally }, options) => pruneSmallest(weights, options, tally),
};

/** Options of the transform `noise`. */
export const noiseOptions = z.strictObject({
  scale: z
    .number()
    .positive()
    .optional()
    .describe(
      `deviation of the noise, as a share of the root mean square of each matrix; default ${scaleChoices.join(', ')}, searched`,
    ),
  include: includeOption,
});

/** Adds normal noise to each matrix. */
export function addNoise(
  weights: StateDict,
  { scale = scaleChoices[0], include }: z.output<typeof noiseOptions>,
  seed: number,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  return changeMatrices('noise', weights, include, ({ name, data }) => {
    const deviation = scale * Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);
    const noise = new Float32Array(data.length);
    // Square and sum, product and sum.
    addFlops(tally, data.length, 4);
    new RandomStream(seed, `noise/${name}`).fillNormal(noise, 0, deviation);
    return noise.map((value, index) => value + data[index]);
  });
}

/** Shakes the weights out of where a lock put them. */
export const noiseTransform: Transform<z.output<typeof noiseOptions>> = {
  name: 'noise',
  description: 'add normal noise to each weight matrix',
  options: noiseOptions,
  isSeeded: true,
  label: { alone: 'with noise', joined: 'noise' },
  doing: 'adding noise to the weights',
  does: 'adds noise to the weights',
  searched: () => ({ scale: scaleChoices }),
  applies: noMatrix,
  unused: unusedInclude('noise'),
  apply: ({ weights, seed, tally }, options) => addNoise(weights, options, seed, tally),
};
