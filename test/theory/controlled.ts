import { expect } from 'vitest';
import {
  balanced,
  checkBounds,
  constantLoss,
  type Figure2Name,
  figure2Data,
  figure2Networks,
  figure2Outputs,
  figure2Weights,
  largestSingularValuesOf,
  rescaled,
  stepsToConverge,
  withLargestSingularValue,
} from '../../src/theory/index.js';

type Three = readonly [number, number, number];

/** A row of the table "controlled iterations" of docs/theory.md: seeds 1 to 3 each. */
export interface ControlledRow {
  readonly network: Figure2Name;
  readonly sigma: number;
  /** Steps as set, balanced and rescaled; none where nothing is free. */
  readonly steps: { readonly set: Three; readonly balanced?: Three; readonly rescaled?: Three };
  /** σ_max(H), likewise. */
  readonly sharpness: { readonly set: Three; readonly balanced?: Three; readonly rescaled?: Three };
  /** σ_max(H) as set over the best of its bounds. */
  readonly ratio: Three;
  /** What rescaling multiplies the outputs by, where the page says it. */
  readonly outputs?: Three;
}

const ofMlp = { steps: [30, 19, 16], sharpness: [2.78, 1.99, 1.87] } as const;

/** The rows of the table. */
export const controlledRows: readonly ControlledRow[] = [
  {
    ...{ network: 'mlp', sigma: 1, ratio: [97.3, 65.6, 228] },
    steps: { set: [28, 20, 9], balanced: [28, 20, 9], rescaled: ofMlp.steps },
    sharpness: { set: [0.788, 0.783, 0.656], balanced: [0.826, 0.816, 0.62], rescaled: ofMlp.sharpness },
  },
  {
    ...{ network: 'mlp', sigma: 4, ratio: [6.83, 11.5, 21.3], outputs: [0.0363, 0.0197, 0.0282] },
    steps: { set: [735, 1459, 563], balanced: [808, 1515, 785], rescaled: ofMlp.steps },
    sharpness: { set: [227, 562, 251], balanced: [221, 550, 237], rescaled: ofMlp.sharpness },
  },
  {
    ...{ network: 'mlp', sigma: 16, ratio: [6.55, 11.3, 20.7], outputs: [1.42e-4, 7.7e-5, 1.1e-4] },
    steps: { set: [18853, 21763, 13500], balanced: [16987, 19258, 14162], rescaled: ofMlp.steps },
    sharpness: { set: [891e3, 226e4, 999e3], balanced: [876e3, 222e4, 948e3], rescaled: ofMlp.sharpness },
  },
  {
    ...{ network: 'cnn', sigma: 1, ratio: [52.3, 24.7, 41.9] },
    steps: { set: [12, 14, 3], rescaled: [11, 12, 3] },
    sharpness: { set: [1.1, 1.44, 1.07], rescaled: [1.57, 1.98, 1.51] },
  },
  {
    ...{ network: 'cnn', sigma: 4, ratio: [1470, 66.9, 675], outputs: [0.333, 0.318, 0.333] },
    steps: { set: [193, 282, 165], rescaled: [67, 58, 36] },
    sharpness: { set: [11.8, 12.3, 22.7], rescaled: [2.15, 2.24, 3.12] },
  },
  {
    ...{ network: 'transformer', sigma: 1, ratio: [3.94, 2.98, 5.24] },
    steps: { set: [544, 606, 609], balanced: [556, 642, 594] },
    sharpness: { set: [0.419, 0.343, 0.804], balanced: [0.321, 0.314, 0.63] },
  },
  {
    ...{ network: 'transformer', sigma: 4, ratio: [5.5, 9.56, 18.2] },
    steps: { set: [2571, 5116, 4209], balanced: [2589, 5931, 5004] },
    sharpness: { set: [84.7, 139, 591], balanced: [77.2, 127, 314] },
  },
];

/** Measures a row and compares: σ_max(H) to three digits, steps to 2 % (float32's rounding differs between processors). */
export async function expectRow({
  network: name,
  sigma,
  steps,
  sharpness,
  ratio,
  outputs,
}: ControlledRow): Promise<void> {
  const network = figure2Networks[name];
  for (const [index, seed] of [1, 2, 3].entries()) {
    const data = figure2Data(network, seed);
    const first = figure2Weights(network, seed);
    const set = withLargestSingularValue(network, first, sigma);
    const all = [...largestSingularValuesOf(network, first).values()];
    const typical = Math.exp(all.reduce((sum, value) => sum + Math.log(value), 0) / all.length);
    const forms = {
      set: { values: set, moved: true },
      balanced: balanced(network, set),
      rescaled: rescaled(network, set, typical),
    };
    const [before, after] = [
      await figure2Outputs(network, data, set),
      await figure2Outputs(network, data, forms.rescaled.values),
    ];
    if (outputs) expect(after[0] / before[0] / outputs[index], 'outputs').toBeCloseTo(1, 2);
    for (const form of ['set', 'balanced', 'rescaled'] as const) {
      const [wanted, sharpest] = [steps[form]?.[index], sharpness[form]?.[index]];
      const { values, moved } = forms[form];
      expect(moved, form).toBe(wanted !== undefined);
      if (wanted === undefined || sharpest === undefined) continue;
      const found = await stepsToConverge(network, data, values, { target: constantLoss(data), budget: 30_000 });
      expect(Math.abs((found.steps ?? Number.POSITIVE_INFINITY) - wanted), `${form}, seed ${seed}`).toBeLessThanOrEqual(
        1 + 0.02 * wanted,
      );
      const check = await checkBounds(network, data, values);
      expect(check.sharpness / sharpest, `${form}, seed ${seed}`).toBeCloseTo(1, 2);
      if (form !== 'set') continue;
      const best = Math.max(...check.bounds.map(({ bound }) => bound));
      expect(check.sharpness / best / ratio[index]).toBeCloseTo(1, 2);
    }
  }
}
