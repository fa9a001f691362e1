import { z } from 'zod';
import type { Model } from '../../models/index.js';

/** The form of a {@link ModelKind}. */
export const modelKind = z.strictObject({
  /** What it reads. */
  input: z.enum(['images', 'texts']),
  /** Whether batch norms follow its layers. */
  hasBatchNorm: z.boolean(),
  /** What is released beside the weights: the logits of a classifier are little, embeddings and next tokens much. */
  release: z.enum(['narrow', 'rich']),
});

/** What models have in common that locks do alike on, as far as it was measured. */
export type ModelKind = z.infer<typeof modelKind>;

/** The kind of a model. */
export function kindOf({ inputs, head, weights }: Pick<Model, 'inputs' | 'head' | 'weights'>): ModelKind {
  return {
    input: 'input_ids' in inputs ? 'texts' : 'images',
    hasBatchNorm: [...weights.keys()].some((name) => name.endsWith('running_mean')),
    release: head.kind === 'classifier' ? 'narrow' : 'rich',
  };
}
