import { requireHead, requireTokens } from '../fit.js';
import { ofVocabulary } from '../of-vocabulary.js';
import type { Task } from '../task.js';
import { labelsBy } from '../token-labels.js';
import { topDivergence } from '../token-losses.js';
import { nextTokens } from './next-tokens.js';

/** The next token of texts, by the logits at each token: causal language models. */
export const causalLm: Task = {
  ...ofVocabulary('next-token accuracy', (dataset) => labelsBy(dataset, nextTokens(dataset))),
  topDivergence,
  name: 'causal-lm',
  description: 'the next token of texts, by the logits of the vocabulary',
  head: 'causal-lm',
  explanation:
    'Over all tokens that have a next one, those of prompts left aside. Agreement and KL (nats): with the float32 outputs before the lock.',
  headFor: () => ({ kind: 'causal-lm', labels: [] }),
  requireFit(model, dataset) {
    requireHead(model, 'causal-lm');
    requireTokens(model, dataset);
  },
  targetReader: nextTokens,
};
