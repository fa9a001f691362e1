import { type Dataset, drawSome } from '../data/index.js';
import { Registry } from '../registry/index.js';
import type { LabelsAt, Metric, Task } from './task.js';
import { mostFrequentShare } from './token-labels.js';
import { ofTokens } from './token-losses.js';
import { TokenMeter } from './token-meter.js';

/** What each of them says itself. */
type Own = 'name' | 'description' | 'head' | 'explanation' | 'headFor' | 'requireFit' | 'targetReader';

/**
 * What language models share, causal and masked: their answers are tokens of the vocabulary, and texts have no classes.
 *
 * @param scoreTitle - What tables call the score.
 * @param labelsAt - The tokens that are asked for.
 */
export function ofVocabulary(scoreTitle: string, labelsAt: (dataset: Dataset) => LabelsAt): Omit<Task, Own> {
  const metrics: readonly Metric[] = [
    { name: 'tokenAccuracy', title: scoreTitle, unit: 'share', better: 'more' },
    { name: 'loss', title: 'loss', unit: 'nats', better: 'less' },
    { name: 'perplexity', title: 'perplexity', unit: 'number', better: 'less' },
    { name: 'agreement', title: 'agreement', unit: 'share', better: 'more', compares: true },
    { name: 'kl', title: 'KL to the original', unit: 'nats', better: 'less', compares: true },
    { name: 'leastLogit', title: 'least logit', unit: 'number', better: 'neither' },
    { name: 'largestLogit', title: 'largest logit', unit: 'number', better: 'neither' },
    { name: 'notFinite', title: 'outputs not finite', unit: 'share', better: 'less' },
  ];
  return {
    ...ofTokens,
    metrics,
    roles: { score: 'tokenAccuracy', divergence: 'kl', notFinite: 'notFinite', loss: 'loss' },
    metric: (name) => new Registry('metric', metrics).get(name),
    parts: () => ({ kind: 'text', entries: [] }),
    meter: (dataset, width, { compares = false } = {}) => new TokenMeter(labelsAt(dataset), width, compares),
    tokens: labelsAt,
    guessing: (dataset) => mostFrequentShare(dataset, labelsAt(dataset)),
    fewShot: (dataset, perKind, seed) => drawSome(dataset, perKind, seed),
    drawnBy: 'texts',
    disagreements: () => [],
    doubts: () => [],
  };
}
