import { batchAt, type Dataset } from '../../data/index.js';
import { InputError } from '../../registry/index.js';
import { requireHead, requireTokens } from '../fit.js';
import { ofVocabulary } from '../of-vocabulary.js';
import type { LabelsAt, Task } from '../task.js';
import { requireMask, withMasks } from './masking.js';

/** The hidden tokens of examples. */
function hiddenTokens(dataset: Dataset): LabelsAt {
  const masked = withMasks(dataset);
  return (positions) => batchAt(masked, positions).labels as BigInt64Array;
}

/** The hidden tokens of texts, by the logits at their places: BERT's masked language models. */
export const maskedLm: Task = {
  ...ofVocabulary('accuracy on hidden tokens', hiddenTokens),
  name: 'masked-lm',
  description: 'the hidden tokens of texts, by the logits of the vocabulary',
  head: 'masked-lm',
  explanation:
    'Over 15 % of the tokens of each text, of which 80 % are masked, 10 % replaced, 10 % left: in every measurement the same. Agreement and KL (nats): with the float32 outputs before the lock.',
  headFor: () => ({ kind: 'masked-lm', labels: [] }),
  requireFit(model, dataset) {
    requireHead(model, 'masked-lm');
    const { size } = requireMask(dataset);
    requireTokens(model, dataset);
    if (size <= model.head.size) return;
    throw new InputError(
      `${dataset.name}: expected a tokenizer of at most the model's ${model.head.size} tokens, found one of ${size}`,
    );
  },
  view: withMasks,
  // They are among the arrays of the examples.
  targetReader: () => () => undefined,
};
