import { batchAt, type Dataset, drawSome } from '../../data/index.js';
import { InputError, Registry } from '../../registry/index.js';
import { requireHead, requireTokens } from '../fit.js';
import type { LabelsAt, Metric, Task } from '../task.js';
import { mostFrequentShare } from '../token-labels.js';
import { ofTokens } from '../token-losses.js';
import { TokenMeter } from '../token-meter.js';
import { requireMask, withMasks } from './masking.js';

const metrics: readonly Metric[] = [
  { name: 'tokenAccuracy', title: 'accuracy on hidden tokens', unit: 'share', better: 'more' },
  { name: 'loss', title: 'loss', unit: 'nats', better: 'less' },
  { name: 'perplexity', title: 'perplexity', unit: 'number', better: 'less' },
  { name: 'agreement', title: 'agreement', unit: 'share', better: 'more', compares: true },
  { name: 'kl', title: 'KL to the original', unit: 'nats', better: 'less', compares: true },
  { name: 'leastLogit', title: 'least logit', unit: 'number', better: 'neither' },
  { name: 'largestLogit', title: 'largest logit', unit: 'number', better: 'neither' },
  { name: 'notFinite', title: 'outputs not finite', unit: 'share', better: 'less' },
];

/** The hidden tokens of examples. */
function hiddenTokens(dataset: Dataset): LabelsAt {
  const masked = withMasks(dataset);
  return (positions) => batchAt(masked, positions).labels as BigInt64Array;
}

/** The hidden tokens of texts, by the logits at their places: BERT's masked language models. */
export const maskedLm: Task = {
  ...ofTokens,
  name: 'masked-lm',
  description: 'the hidden tokens of texts, by the logits of the vocabulary',
  head: 'masked-lm',
  metrics,
  explanation:
    'Over 15 % of the tokens of each text, of which 80 % are masked, 10 % replaced, 10 % left: in every measurement the same. Agreement and KL (nats): with the float32 outputs before the lock.',
  roles: { score: 'tokenAccuracy', divergence: 'kl', notFinite: 'notFinite', loss: 'loss' },
  metric: (name) => new Registry('metric', metrics).get(name),
  parts: () => ({ kind: 'text', entries: [] }),
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
  meter: (dataset, width, { compares = false } = {}) => new TokenMeter(hiddenTokens(dataset), width, compares),
  tokens: hiddenTokens,
  guessing: (dataset) => mostFrequentShare(dataset, hiddenTokens(dataset)),
  fewShot: (dataset, perKind, seed) => drawSome(dataset, perKind, seed),
  drawnBy: 'texts',
  disagreements: () => [],
  doubts: () => [],
};
