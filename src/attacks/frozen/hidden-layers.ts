import { type ModelSpec, pooledLayers } from '../../models/index.js';

/** Name of the output of a model from {@link hiddenLayersOf}. */
export const hiddenOutput = 'hidden';

/**
 * A model whose output is what its hidden layers hold, side by side, `[batch, width]`: of images the mean over the places of a
 * channel, of texts the mean over the tokens that are no padding. Same weights; `head` stays the model's own.
 */
export function hiddenLayersOf(model: ModelSpec): ModelSpec {
  return {
    ...model,
    digest: `${model.digest} ${hiddenOutput}`,
    build(batch, options) {
      const pass = model.build(batch, options);
      return { ...pass, outputs: { [hiddenOutput]: pooledLayers(pass.scope) } };
    },
  };
}
