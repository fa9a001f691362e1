import { type ModelSpec, modelState, type StateDict } from '../../models/index.js';
import { Linear, structureOf, valuesOf } from '../../symmetries/index.js';

/** Epsilon of all batch norms. */
const epsilon = 1e-5;

/**
 * Folds each batch norm into the convolution before it, in place: `W ← γ/√(v + ε)·W`, and what is left of the norm adds
 * `β − γ·μ/√(v + ε)`. Outside training the function stays to rounding.
 *
 * @returns Names of the norms that were folded.
 */
export function foldBatchNorms(model: ModelSpec, weights: StateDict): string[] {
  return structureOf(model, weights).batchNorms.map(({ convolution, norm }) => {
    const layer = new Linear(weights, convolution);
    const [gain, bias, average, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
      valuesOf(weights, `${norm}.${part}`),
    );
    for (let channel = 0; channel < layer.outputs; channel++) {
      const factor = gain[channel] / Math.sqrt(variance[channel] + epsilon);
      layer.setRows(
        channel,
        layer.rows(channel, 1).map((value) => value * factor),
      );
      bias[channel] -= average[channel] * factor;
    }
    gain.fill(1);
    average.fill(0);
    variance.fill(1 - epsilon);
    return norm;
  });
}

/** The model as it is used: with the statistics that it has stored, and without dropout, in training too. */
export function asUsed(model: ModelSpec): ModelSpec {
  return { ...model, build: (batch, options) => model.build(batch, { ...options, training: false }) };
}

/** Names of what training moves without a gradient. */
export function trackedNames(model: ModelSpec): ReadonlySet<string> {
  return new Set(modelState(model).flatMap(({ name, kind }) => (kind === 'parameter' ? [] : [name])));
}
