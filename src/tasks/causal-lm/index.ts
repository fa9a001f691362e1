import { type Dataset, drawSome } from '../../data/index.js';
import { Registry } from '../../registry/index.js';
import { requireHead, requireTokens } from '../fit.js';
import type { Metric, Task } from '../task.js';
import { labelsBy, mostFrequentShare } from '../token-labels.js';
import { ofTokens, topDivergence } from '../token-losses.js';
import { TokenMeter } from '../token-meter.js';
import { nextTokens } from './next-tokens.js';

const metrics: readonly Metric[] = [
  { name: 'tokenAccuracy', title: 'next-token accuracy', unit: 'share', better: 'more' },
  { name: 'loss', title: 'loss', unit: 'nats', better: 'less' },
  { name: 'perplexity', title: 'perplexity', unit: 'number', better: 'less' },
  { name: 'agreement', title: 'agreement', unit: 'share', better: 'more', compares: true },
  { name: 'kl', title: 'KL to the original', unit: 'nats', better: 'less', compares: true },
  { name: 'leastLogit', title: 'least logit', unit: 'number', better: 'neither' },
  { name: 'largestLogit', title: 'largest logit', unit: 'number', better: 'neither' },
  { name: 'notFinite', title: 'outputs not finite', unit: 'share', better: 'less' },
];

const labelsAt = (dataset: Dataset) => labelsBy(dataset, nextTokens(dataset));

/** The next token of texts, by the logits at each token: causal language models. */
export const causalLm: Task = {
  ...ofTokens,
  topDivergence,
  name: 'causal-lm',
  description: 'the next token of texts, by the logits of the vocabulary',
  head: 'causal-lm',
  metrics,
  explanation:
    'Over all tokens that have a next one, those of prompts left aside. Agreement and KL (nats): with the float32 outputs before the lock.',
  roles: { score: 'tokenAccuracy', divergence: 'kl', notFinite: 'notFinite', loss: 'loss' },
  metric: (name) => new Registry('metric', metrics).get(name),
  parts: () => ({ kind: 'text', entries: [] }),
  headFor: () => ({ kind: 'causal-lm', labels: [] }),
  requireFit(model, dataset) {
    requireHead(model, 'causal-lm');
    requireTokens(model, dataset);
  },
  targetReader: nextTokens,
  meter: (dataset, width, { compares = false } = {}) => new TokenMeter(labelsAt(dataset), width, compares),
  tokens: labelsAt,
  guessing: (dataset) => mostFrequentShare(dataset, labelsAt(dataset)),
  fewShot: (dataset, perKind, seed) => drawSome(dataset, perKind, seed),
  drawnBy: 'texts',
  disagreements: () => [],
  doubts: () => [],
};
